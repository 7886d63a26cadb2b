/** A part of the local stack cannot be had. Its message is what a user should see: what is missing and what to do. */
export class StackError extends Error {
  override readonly name = 'StackError'
}
