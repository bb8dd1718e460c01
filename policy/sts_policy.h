/* SPDX-License-Identifier: ISC */
/*
 * The two texts of MTA-STS: the TXT record and the policy (RFC 8461 3.1, 3.2),
 * read from outside bytes, and the match of a mail host with a policy. Pure.
 */
#ifndef POSTERN_POLICY_STS_POLICY_H
#define POSTERN_POLICY_STS_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;

enum sts_mode { STS_MODE_NONE, STS_MODE_TESTING, STS_MODE_ENFORCE };

enum { STS_ID_MAX = 32, STS_MX_MAX = 128, STS_BODY_MAX = 64 << 10,
    STS_MAX_AGE_MAX = 31557600 };

struct sts_policy {
	enum sts_mode	 mode;
	char		**mx;		/* patterns, lower case; in an arena */
	size_t		 mx_count;
	int64_t		 max_age;	/* seconds; clamped (STS-44) */
};

/* Of all TXT records at _mta-sts (each already joined, any bytes): the id of
 * the one that is valid (STS-8 to STS-14). -1 with a sentence part in why. */
int	 sts_read_txt(const char *const *records, const size_t *lengths,
	    size_t count, char id[STS_ID_MAX + 1], char *why, size_t size);
/* -1 with a sentence part in why (STS-40 to STS-49). */
int	 sts_read_policy(const char *body, size_t length, struct arena *arena,
	    struct sts_policy *policy, char *why, size_t size);
/* Does an MX name match one of the patterns (STS-55 to STS-58)? */
bool	 sts_matches(const struct sts_policy *policy, const char *host);
const char	*sts_mode_name(enum sts_mode mode);

#endif
