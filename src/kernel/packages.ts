/** Distribution to the package that holds the L2TP modules; `$R` is the release of the kernel. */
const PACKAGES: readonly (readonly [id: string, hint: string])[] = [
  ["ubuntu", "install linux-modules-extra-$R"],
  ["debian", "install the complete kernel package, linux-image-$R or linux-image-amd64"],
  ["fedora", "install kernel-modules-extra-$R"],
  ["rhel", "install kernel-modules-extra-$R"],
  ["suse", "install kernel-default, or kernel-default-optional where that exists"],
  ["arch", "install the package linux, and restart"],
  ["alpine", "install linux-lts, linux-virt lacks it"],
];

/** Where the L2TP modules come from on a distribution (the text of its /etc/os-release). */
export function packageHint(osRelease: string, release: string): string {
  const line = (key: string) => new RegExp(`^${key}="?([^"\n]*)`, "m").exec(osRelease)?.[1] ?? "";
  const ids = `${line("ID")} ${line("ID_LIKE")}`.split(" ");
  const found = ids.flatMap((id) => PACKAGES.filter(([known]) => known === id))[0];
  if (found !== undefined) return found[1].replaceAll("$R", release);
  return `kernel ${release} needs CONFIG_L2TP_V3, CONFIG_L2TP_NETLINK and CONFIG_L2TP_ETH`;
}
