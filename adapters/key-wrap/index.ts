export * from './aes-key-wrap.ts'
export * from './oaep.ts'
