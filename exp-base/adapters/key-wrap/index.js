export * from "./aes-key-wrap.js";
export * from "./oaep.js";
