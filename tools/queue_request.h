/* SPDX-License-Identifier: ISC */
/*
 * The command line of `postern queue`. Each sub-command is a row (struct
 * queue_command) that says what it takes; reading, --help, usage lines and
 * completion are made from the rows, so that they cannot differ. What was read
 * becomes the arguments of the verb that the queue is asked. A sub-command
 * with a file of its own is declared in tools/command_queue.h and listed in
 * tools/command_queue.c:
 *
 *	static int run(struct queue_request *request)
 *	{
 *		return queue_request_ask(request, "pause", print, NULL);
 *	}
 *
 *	const struct queue_command queue_command_pause = {
 *		.name = "pause", .before = "DESTINATION|HOST",
 *		.summary = "nothing is sent there until resume",
 *		.options = options, .run = run };
 */
#ifndef POSTERN_TOOLS_QUEUE_REQUEST_H
#define POSTERN_TOOLS_QUEUE_REQUEST_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct conf;
struct queue_request;

/* What the words behind options are; each is checked when it is read. */
enum queue_kind {
	QUEUE_FLAG,		/* no word: true */
	QUEUE_TEXT,		/* UTF-8 */
	QUEUE_WORD,		/* one of words, or what else the queue knows */
	QUEUE_ADDRESS,		/* a pattern of addresses, IDN in A-labels */
	QUEUE_DOMAIN,		/* a pattern of domains, the same */
	QUEUE_AGE,		/* "90", "2h": seconds */
	QUEUE_SIZE,		/* "1M": bytes */
	QUEUE_COUNT		/* a number */
};

struct queue_option {
	const char	*name;		/* "until": --until; null ends a list */
	char		 letter;	/* -u, too; 0: none */
	enum queue_kind	 kind;
	const char	*value;		/* what help calls the word: "TIME" */
	const char	*help;
	/* The argument of the verb that gets it; null: as name. */
	const char	*member;
	/* Not for the queue: goes to request->own, not to the arguments. */
	bool		 local;
	const char	*(*words)(size_t i);	/* WORD: null behind the last */
	bool		 needed;	/* the usage line says so; run() looks */
};

enum queue_takes {
	QUEUE_SELECTORS = 1 << 0,	/* --sender and so on, and IDs */
	QUEUE_IDS = 1 << 1,		/* IDs as operands, no selectors */
	QUEUE_DRY_RUN = 1 << 2,		/* --dry-run and --verbose */
	QUEUE_PROGRESS = 1 << 3		/* the verb knows "progress" and "stop"
					 * (queue/walk.h); IDs or not */
};

struct queue_command {
	const char	*name;
	const char	*summary;	/* one line */
	const char	*before;	/* an operand that must be there, the
					 * first; null: none */
	const char	*after;		/* the same, the last */
	const char	*(*after_words)(size_t i);	/* what it may be */
	unsigned	 takes;		/* enum queue_takes */
	/* Besides -c, -j, -h and selectors; the list ends with name NULL. Of
	 * two with the same name this one counts. Null: none. */
	const struct queue_option *options;
	const char	*help;		/* further lines for --help, or null */
	/* Commands below this one ("hold-rule add"); then run is null. */
	const struct queue_command *const *commands;	/* ends with null */
	int		(*run)(struct queue_request *request);
};

/* What the line said; run() borrows it. */
struct queue_request {
	const struct queue_command *command;
	const char	*prefix;	/* "postern queue" */
	const char	*configuration;	/* of -c */
	struct conf	*conf;		/* owned: of that file */
	bool		 json;
	bool		 dry_run;
	json_t		*arguments;	/* owned: of the verb, "id" among them */
	json_t		*own;		/* owned: options that are local */
	const char	*before;	/* operands; null: it takes none */
	const char	*after;
};

/*
 * Asks the queue: verb with request->arguments (run() may have added some).
 * With --json each object of the answer is printed as it came, else it goes to
 * print (null: nothing is done with it). Progress goes to stderr if that is a
 * terminal; an interrupt makes the queue stop and say how far it came. Returns
 * the exit status.
 */
int	 queue_request_ask(struct queue_request *request, const char *verb,
	    void (*print)(void *arg, const json_t *object), void *arg);
/* The same, but print gets every object, with --json, too. */
int	 queue_request_ask_all(struct queue_request *request,
	    const char *verb, void (*print)(void *arg, const json_t *object),
	    void *arg);
/* Says what is wrong on stderr with the usage line; EX_USAGE. */
int	 queue_request_usage(const struct queue_request *request,
	    const char *problem);
/* --option "value": problem */
int	 queue_request_wrong(const struct queue_request *request,
	    const char *option, const char *value, const char *problem);

/* Finds argv[1] in the table (its end is a null pointer), reads the line, runs.
 * Returns the exit status. */
int	 queue_request_dispatch(const char *prefix,
	    const struct queue_command *const *table, int argc, char **argv);

/* The options that a command takes, its own first: i counts from 0, null
 * behind the last. */
const struct queue_option	*queue_request_option(
				    const struct queue_command *command,
				    size_t i);
/* "[SELECTOR...] [ID...] [-j] [-c FILE]" */
void	 queue_request_format(const struct queue_command *command, char *out,
	    size_t size);

#endif
