/** Vite gives a file's text under `?raw`. */
declare module "*.sql?raw" {
  const text: string
  export default text
}
