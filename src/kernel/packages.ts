interface Packages {
  readonly id: string;
  /** With the L2TP modules; `$R` is the release of the kernel. */
  readonly l2tp: string;
  /** With those that every kernel has; absent: the same one. */
  readonly common?: string;
}

/** Distribution to the package that holds modules. */
const PACKAGES: readonly Packages[] = [
  { id: "ubuntu", l2tp: "install linux-modules-extra-$R", common: "install linux-modules-$R" },
  { id: "debian", l2tp: "install the complete kernel package, linux-image-$R or linux-image-amd64" },
  { id: "fedora", l2tp: "install kernel-modules-extra-$R", common: "install kernel-modules-$R" },
  { id: "rhel", l2tp: "install kernel-modules-extra-$R", common: "install kernel-modules-$R" },
  { id: "suse", l2tp: "install kernel-default, or kernel-default-optional where that exists" },
  { id: "arch", l2tp: "install the package linux, and restart" },
  { id: "alpine", l2tp: "install linux-lts, linux-virt lacks it", common: "install linux-lts or linux-virt" },
];

/** Of modules that are no part of L2TP itself. */
const COMMON_OPTIONS: Readonly<Record<string, string>> = { bridge: "CONFIG_BRIDGE", "8021q": "CONFIG_VLAN_8021Q" };

/** Where the module comes from on a distribution (the text of its /etc/os-release). */
export function packageHint(osRelease: string, release: string, module: string): string {
  const line = (key: string) => new RegExp(`^${key}="?([^"\n]*)`, "m").exec(osRelease)?.[1] ?? "";
  const ids = `${line("ID")} ${line("ID_LIKE")}`.split(" ");
  const found = ids.flatMap((id) => PACKAGES.filter((known) => known.id === id))[0];
  if (found === undefined) return optionHint(release, module);
  const hint = Object.hasOwn(COMMON_OPTIONS, module) ? (found.common ?? found.l2tp) : found.l2tp;
  return hint.replaceAll("$R", release);
}

/** What a kernel is to be built with, as a module or not. */
export function optionHint(release: string, module: string): string {
  const options = COMMON_OPTIONS[module] ?? "CONFIG_L2TP_V3, CONFIG_L2TP_IP, CONFIG_L2TP_NETLINK and CONFIG_L2TP_ETH";
  return `kernel ${release} needs ${options}`;
}
