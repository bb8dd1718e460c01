/* SPDX-License-Identifier: ISC */
/*
 * Between the files of `postern policy`: one reader of their command lines, so
 * that an option means the same in each, and the groups of commands.
 */
#ifndef POSTERN_TOOLS_COMMAND_POLICY_H
#define POSTERN_TOOLS_COMMAND_POLICY_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "tools/command.h"

enum { POLICY_FINGERPRINTS_MAX = 8 };

/* What a command is called and takes. */
struct policy_form {
	const char		*prefix;	/* "postern policy memory" */
	const struct command	*command;
	/* letters of the options beside -c, -j and -h; see the table in
	 * command_policy_arguments.c */
	const char		*options;
	int			 least, most;	/* operands */
	const char		*operands;	/* "one domain is expected" */
	const char		*help;		/* below the summary; or null */
};

/* What the command line said; all of it borrowed from argv. */
struct policy_arguments {
	const struct policy_form *form;
	struct command_options	 options;
	bool			 standalone;
	bool			 requiretls, tls_optional;
	bool			 no_retry;
	int64_t			 waited;	/* seconds */
	const char		*level;		/* null: not given, as below */
	const char		*reason;
	const char		*until;
	const char		*since;
	const char		*day;
	const char		*fingerprints[POLICY_FINGERPRINTS_MAX];
	size_t			 fingerprint_count;
	char			**operands;
	int			 operand_count;
};

/* -1: go on; else the exit status. */
int	 policy_arguments_read(struct policy_arguments *arguments,
	    const struct policy_form *form, int argc, char **argv);
/* Says what is wrong, with the usage line; CONTROL_USAGE. value may be null. */
int	 policy_arguments_wrong(const struct policy_arguments *arguments,
	    const char *place, const char *value, const char *problem);

/* "user@example.org", "bücher.example.", "[192.0.2.1]", "192.0.2.1" as the
 * roles write the domain. -1, or the exit status after what was said. */
int	 policy_read_target(const struct policy_arguments *arguments,
	    const char *text, char *out, size_t size);
/* "example.org" and ".example.org" (all below it). */
int	 policy_read_pattern(const struct policy_arguments *arguments,
	    const char *text, char *out, size_t size);
/* One of the words, which end with null. */
int	 policy_read_word(const struct policy_arguments *arguments,
	    const char *place, const char *text, const char *const *words);
/* --reason: given, one line, not too long. */
int	 policy_check_reason(const struct policy_arguments *arguments);

/* Asks the policy role; reads the configuration for it. */
int	 policy_ask(const struct policy_arguments *arguments, const char *verb,
	    json_t *request, void (*line)(void *arg, const json_t *object),
	    void *arg);

int	 command_policy_memory(int argc, char **argv);
int	 command_policy_exception(int argc, char **argv);
int	 command_policy_events(int argc, char **argv);
int	 command_policy_outcomes(int argc, char **argv);
int	 command_policy_greylist(int argc, char **argv);

#endif
