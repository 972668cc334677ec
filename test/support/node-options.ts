/** The options of Node.js that the image and the package's command start the gateway with. */
export const NODE_OPTIONS: readonly string[] = ["--v8-pool-size=1"];
