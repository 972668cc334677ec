import { describeRedis } from "./redis.contract.ts";

describeRedis("cluster");
