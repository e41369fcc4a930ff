// Khronos glTF validator on one GLB: any error or warning fails. Run where `npm install gltf-validator` was done, or with
// NODE_PATH where it was installed globally.
const fs = require("fs");
const path = require("path");
const validator = require(require.resolve("gltf-validator", { paths: [process.cwd(), process.env.NODE_PATH ?? ""] }));

const read = (name) => new Uint8Array(fs.readFileSync(name));
const beside = async (uri) => read(path.join(path.dirname(process.argv[2]), decodeURIComponent(uri)));

validator.validateBytes(read(process.argv[2]), { externalResourceFunction: beside }).then(({ issues }) => {
  console.log(`glTF validator: ${issues.numErrors} errors, ${issues.numWarnings} warnings`);
  if (issues.numErrors + issues.numWarnings > 0) {
    console.error(JSON.stringify(issues.messages, null, 2));
    process.exit(1);
  }
});
