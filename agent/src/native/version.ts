/** The host's own version, as its package has it; a test holds the two together. */

/** By semver. A constant, because a bundle has no package beside it. */
export const HOST_VERSION = '0.1.0';
