/** Why an input cannot be imported, in lines that quote no secret. */
export class ImportError extends Error {}
