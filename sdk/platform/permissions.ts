/** What Deno has permissions for and the SDK asks of its own accord. */
type Permission =
  | { name: "env"; variable: string }
  | { name: "sys"; kind: "cpus" | "homedir" | "systemMemoryInfo" };

/**
 * Whether the program may ask its system this. Only Deno may say no, and only there a question that was not granted
 * beforehand stops the program at a prompt: so what can be done without is asked for only where it is granted.
 */
export function isGranted(permission: Permission): boolean {
  const { Deno } = globalThis as {
    Deno?: { permissions: { querySync(permission: Permission): { state: string } } };
  };
  return Deno === undefined || Deno.permissions.querySync(permission).state === "granted";
}
