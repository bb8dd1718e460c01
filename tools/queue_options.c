/* SPDX-License-Identifier: ISC */
/*
 * What selects messages is the same everywhere, so it stands here once. Each
 * member is one of queue/selector.h.
 */
#include "tools/queue_options.h"

#include <string.h>

#include "base/status.h"
#include "tools/queue_request.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

const struct queue_option queue_options_selectors[] = {
	{ .name = "sender", .kind = QUEUE_ADDRESS, .value = "ADDRESS",
	    .help = "sender; * stands for anything, <> for none" },
	{ .name = "user", .kind = QUEUE_TEXT, .value = "USER",
	    .help = "who had logged in to send it; \"uid 1000\" for a user of "
	    "this machine" },
	{ .name = "recipient", .kind = QUEUE_ADDRESS, .value = "ADDRESS",
	    .help = "recipient" },
	{ .name = "domain", .kind = QUEUE_DOMAIN, .value = "DOMAIN",
	    .help = "of a recipient" },
	{ .name = "host", .kind = QUEUE_DOMAIN, .value = "HOST",
	    .help = "of the last attempt: its name, or its address" },
	{ .name = "state", .kind = QUEUE_WORD, .value = "STATE",
	    .help = "active, deferred or held",
	    .words = queue_options_states },
	{ .name = "reason", .kind = QUEUE_WORD, .value = "REASON",
	    .help = "of the last attempt; a word of those below",
	    .words = queue_options_reasons },
	{ .name = "failure", .kind = QUEUE_WORD, .value = "REASON",
	    .help = "why it failed; a word of those below",
	    .member = "reason",
	    .words = queue_options_reasons },
	{ .name = "tag", .kind = QUEUE_WORD, .value = "TAG",
	    .help = "what the sender wants of TLS: requiretls, optional "
	    "(TLS-Required: No) or none", .words = queue_options_tags },
	{ .name = "older", .kind = QUEUE_AGE, .value = "TIME",
	    .help = "at least this old: seconds, or with s, m, h, d" },
	{ .name = "newer", .kind = QUEUE_AGE, .value = "TIME",
	    .help = "younger than this" },
	{ .name = "larger", .kind = QUEUE_SIZE, .value = "SIZE",
	    .help = "at least this large: bytes, or with K, M, G" },
	{ .name = "smaller", .kind = QUEUE_SIZE, .value = "SIZE",
	    .help = "smaller than this" },
	{ .name = "limit", .kind = QUEUE_COUNT, .value = "NUMBER",
	    .help = "of messages" },
	{ .name = "all", .kind = QUEUE_FLAG, .help = "every message" },
	{ .name = NULL }
};

const struct queue_option queue_options_dry_run[] = {
	{ .name = "dry-run", .letter = 'n', .kind = QUEUE_FLAG,
	    .help = "say what would change, and change nothing" },
	{ .name = "verbose", .letter = 'v', .kind = QUEUE_FLAG,
	    .help = "with --dry-run: say it of each message", .local = true },
	{ .name = NULL }
};

const struct queue_option queue_options_common[] = {
	{ .name = "json", .letter = 'j', .kind = QUEUE_FLAG,
	    .help = "one JSON object a line", .local = true },
	{ .name = "config", .letter = 'c', .kind = QUEUE_TEXT,
	    .value = "FILE", .help = "the server's configuration",
	    .local = true },
	{ .name = "help", .letter = 'h', .kind = QUEUE_FLAG,
	    .help = "this text", .local = true },
	{ .name = NULL }
};

const char *queue_options_states(size_t i)
{
	static const char *const words[] = { "active", "deferred", "held" };

	return i < COUNT(words) ? words[i] : NULL;
}

/* Single reasons, then classes of them. */
const char *queue_options_reasons(size_t i)
{
	static const char *const classes[] = { "broken-tls", "tls",
	    "temporary-dns" };
	enum { SINGLE = STATUS_REASONS - REASON_NONE - 1 };

	if (i < SINGLE)
		return status_reason_name((enum status_reason)(REASON_NONE +
		    1 + i));
	return i - SINGLE < COUNT(classes) ? classes[i - SINGLE] : NULL;
}

const char *queue_options_tags(size_t i)
{
	static const char *const words[] = { "requiretls", "optional",
	    "none" };

	return i < COUNT(words) ? words[i] : NULL;
}

const char *queue_options_levels(size_t i)
{
	static const char *const words[] = { "none", "may", "encrypt", "auto",
	    "dane", "dane-only", "sts", "strict", "default" };

	return i < COUNT(words) ? words[i] : NULL;
}

const struct queue_option *queue_request_option(
    const struct queue_command *command, size_t i)
{
	const struct queue_option *lists[] = { command->options,
	    command->takes & QUEUE_SELECTORS ? queue_options_selectors : NULL,
	    command->takes & QUEUE_DRY_RUN ? queue_options_dry_run : NULL,
	    queue_options_common };
	const struct queue_option *option, *own;
	size_t list;

	for (list = 0; list < COUNT(lists); list++) {
		for (option = lists[list]; option != NULL &&
		    option->name != NULL; option++) {
			/* The command's own of that name stands for it. */
			for (own = command->options; list > 0 && own != NULL &&
			    own->name != NULL; own++)
				if (strcmp(own->name, option->name) == 0)
					break;
			if (list > 0 && own != NULL && own->name != NULL)
				continue;
			if (i-- == 0)
				return option;
		}
	}
	return NULL;
}
