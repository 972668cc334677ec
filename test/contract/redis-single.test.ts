import { describeRedis } from "./redis.contract.ts";

describeRedis("single");
