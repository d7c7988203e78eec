export * from "./abortable.js";
export * from "./adapter.js";
export * from "./algorithms.js";
export * from "./errors.js";
export * from "./inspection.js";
export * from "./key-name.js";
export * from "./key-validity.js";
export * from "./secret.js";
