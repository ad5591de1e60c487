// Draws /openapi.json with the renderer beside it. A file of its own because the page's CSP allows no inline script.
// The token that a reader enters stays in this page and is sent to this origin only.
globalThis.SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#reference",
  deepLinking: true,
  displayOperationId: true,
  defaultModelsExpandDepth: 0,
  docExpansion: "list",
  tagsSorter: "alpha",
  validatorUrl: null,
})
