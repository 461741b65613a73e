// Runs a WebAssembly program of Rust's target wasm32-wasip1 under Node, which is how `.ci/run` tests the kernels for SIMD128.
//
//   node --no-warnings tests/unsafe_code/wasi.mjs PROGRAM [ARGUMENT…]
import { readFileSync } from "node:fs";
import { argv, env, exit } from "node:process";
import { WASI } from "node:wasi";

const [program, ...rest] = argv.slice(2);
const wasi = new WASI({ version: "preview1", args: [program, ...rest], env, returnOnExit: true });
const { instance } = await WebAssembly.instantiate(readFileSync(program), wasi.getImportObject());
exit(wasi.start(instance)); // a panic traps, so that `start` throws and Node exits with an error
