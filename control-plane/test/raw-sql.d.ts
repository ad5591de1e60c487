/** Vite gives a file's text under `?raw`. */
declare module "*.sql?raw" {
  const text: string
  // biome-ignore lint/style/noDefaultExport: that is how Vite exports it
  export default text
}
