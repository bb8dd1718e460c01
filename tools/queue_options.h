/* SPDX-License-Identifier: ISC */
/*
 * The options that sub-commands of `postern queue` have in common, and the
 * words that some of them take.
 */
#ifndef POSTERN_TOOLS_QUEUE_OPTIONS_H
#define POSTERN_TOOLS_QUEUE_OPTIONS_H

#include <stddef.h>

#include "tools/queue_request.h"

/* Lists that end with a name that is null. */
extern const struct queue_option	 queue_options_selectors[],
		    queue_options_dry_run[], queue_options_common[];

/* Words by number; null behind the last. */
const char	*queue_options_states(size_t i);
const char	*queue_options_reasons(size_t i);
const char	*queue_options_tags(size_t i);
const char	*queue_options_levels(size_t i);	/* of set-tls */

#endif
