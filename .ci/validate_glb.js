// Khronos glTF validator on one GLB: any error or warning fails. Run where `npm install gltf-validator` was done, or with
// NODE_PATH where it was installed globally.
const fs = require("fs");
const validator = require(require.resolve("gltf-validator", { paths: [process.cwd(), process.env.NODE_PATH ?? ""] }));

validator.validateBytes(new Uint8Array(fs.readFileSync(process.argv[2]))).then(({ issues }) => {
  console.log(`glTF validator: ${issues.numErrors} errors, ${issues.numWarnings} warnings`);
  if (issues.numErrors + issues.numWarnings > 0) {
    console.error(JSON.stringify(issues.messages, null, 2));
    process.exit(1);
  }
});
