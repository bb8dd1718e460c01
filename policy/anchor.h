/* SPDX-License-Identifier: ISC */
/*
 * The keys of the DNS root that are trusted, over time. Two know of them: the
 * file that the administrator's packages bring, and the state file in policy's
 * own directory, which libunbound keeps by RFC 5011 as the root changes its
 * keys. At each start the two are merged, so that neither an old state file
 * beats a newer package nor an old package a newer state file:
 *
 * - A key that the package brings since the last merge is trusted, unless the
 *   root has revoked it; one that the package has dropped since is not.
 * - What the package still says as before, the state file knows better: a key
 *   that was revoked stays away, one that was learned stays.
 * - A package that shares no key with what is trusted is another root: the
 *   state begins anew from it.
 */
#ifndef POSTERN_POLICY_ANCHOR_H
#define POSTERN_POLICY_ANCHOR_H

/* In the directory: the state, the package's text when they were last merged,
 * and a state that could not be used. */
#define ANCHOR_STATE "root.anchor"
#define ANCHOR_PACKAGED "root.anchor.packaged"
#define ANCHOR_DAMAGED "root.anchor.damaged"

/*
 * Before the chroot. 0 when directory/ANCHOR_STATE is ready for libunbound;
 * -1, after a line in the log, when it cannot be written or the packaged text
 * is of another kind: keys is then what to trust for now, owned by the caller.
 * A damaged state file is set aside, with an error in the log.
 */
int	 anchor_prepare(const char *directory, const char *packaged,
	    char **keys);
/* libunbound does not take the state: away with it; why is for the log. */
void	 anchor_set_aside(const char *directory, const char *why);

/* The merge itself, pure. state and before (the package's text when it was
 * last merged) may be null. The text for the state file, owned by the caller;
 * null when packaged has no key of the root that could be read. A state that
 * cannot be read counts as none. */
char	*anchor_merge(const char *state, const char *before,
	    const char *packaged);
/* Only root keys that can be read, and one of them trusted. */
int	 anchor_check(const char *text, char *why, unsigned size);

#endif
