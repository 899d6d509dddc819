/** Hosts that requests are for, by their name or address without a port; of an IPv6 address with its brackets, as URLs have it. */

/** Whether only this machine reaches the address. */
export function isLoopback(host: string): boolean {
  const name = plain(host);
  return /^(.+\.)?localhost$/.test(name) || /^127(\.\d{1,3}){3}$/.test(name) || name === "::1";
}

/** Whether a list has the host. */
export function names(hosts: readonly string[], host: string): boolean {
  return hosts.some((one) => plain(one) === plain(host));
}

function plain(host: string): string {
  return host
    .toLowerCase()
    .replace(/^\[(.*)\]$/, "$1")
    .replace(/\.$/, "");
}
