import { ApiError } from "../errors.ts";

/** Hosts that requests are for, by their name or address without a port; of an IPv6 address with its brackets, as URLs have it. */

/**
 * The hosts that a request is for: its URL's, and its `Host`, which another one may be beside an absolute target.
 *
 * @throws ApiError 400 where they make no URL
 */
export function hostsOf(url: string, header: string | undefined): string[] {
  const given = header ? [url, `http://${header}/`] : [url];
  return given.map((one) => {
    if (URL.canParse(one)) return new URL(one).hostname;
    throw new ApiError(400, "The request's target and Host make no URL.", { code: "invalid_http" });
  });
}

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
