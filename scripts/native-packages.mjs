/** Packages with native parts, which are loaded from node_modules; the others are within dist/bin. */
export const NATIVE_PACKAGES = ["koffi", "netlink"];
