/* SPDX-License-Identifier: ISC */
/*
 * What smtpd asks policy about a client and a message, without policy: the
 * functions of policy/client.h from policy_spf() on. Part of
 * tests/fake_smtpd_peers.h, and with the same rules. Unless told otherwise
 * nothing is known of anybody: SPF and DMARC are none, no TXT record is there,
 * nobody is listed, everybody has waited long enough.
 */
#ifndef POSTERN_TESTS_FAKE_SMTPD_POLICY_H
#define POSTERN_TESTS_FAKE_SMTPD_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "authentic/dmarc.h"
#include "authentic/proof.h"
#include "base/net.h"

enum { FAKE_TEXTS_MAX = 8, FAKE_LISTS_MAX = 8, FAKE_ANSWERS_MAX = 16 };

struct fake_smtpd_policy {
	bool		 silent;	/* until a request is cancelled */

	enum proof	 spf;
	bool		 spf_of_hello;
	char		 spf_domain[256];	/* "": as asked */
	char		 spf_explanation[256];

	enum proof	 dmarc;
	enum dmarc_wish	 dmarc_wish;
	char		 dmarc_domain[256];	/* of the record; "": author */

	struct fake_text {
		char	*name;			/* owned */
		char	*text;			/* owned; null: failed */
	}		 texts[FAKE_TEXTS_MAX];
	size_t		 text_count;

	struct fake_list {
		char		 zone[256];
		bool		 failed;
		struct endpoint	 answers[FAKE_ANSWERS_MAX];
		size_t		 count;
	}		 lists[FAKE_LISTS_MAX];
	size_t		 list_count;

	int64_t		 greylist_wait;

	/*
	 * All that was asked, oldest first, "; " between:
	 *	spf CLIENT HELLO <SENDER> RECEIVER
	 *	text NAME
	 *	dmarc AUTHOR spf=DOMAIN dkim=D1,D2 temporary
	 *		(spf=- unless it passed, dkim=- if none; last word only
	 *		if so)
	 *	listed CLIENT ZONE
	 *	greylist CLIENT <SENDER> <RECIPIENT> look
	 *		(last word only if so)
	 */
	char		 asked[4096];
	unsigned	 questions;
};

extern struct fake_smtpd_policy fake_smtpd_policy;

void	 fake_smtpd_policy_reset(void);
/* Requests that are open. */
unsigned fake_smtpd_policy_open(void);
/* "set: NAME VALUE" of a dialogue (tests/dialog/dialog.h says which); false
 * when there is none of that name or the value is no such. */
bool	 fake_smtpd_policy_set(const char *name, const char *value);

#endif
