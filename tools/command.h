/* SPDX-License-Identifier: ISC */
/*
 * The postern command: a table of commands, each a function of its own
 * arguments that returns the exit status (sysexits(3) where it fails). The
 * hidden form --role=NAME --instance=N is how the supervisor starts roles.
 */
#ifndef POSTERN_TOOLS_COMMAND_H
#define POSTERN_TOOLS_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

struct command {
	const char	*name;
	const char	*arguments;	/* as the usage line shows them */
	const char	*summary;	/* one line */
	int		(*run)(int argc, char **argv);	/* argv[0]: the name */
};

/* Options that several commands take. */
struct command_options {
	const char	*configuration;	/* -c FILE */
	bool		 json;		/* -j, --json */
};

int	 command_main(int argc, char **argv);
/* What is left of standard output is written: status, or CONTROL_OUTPUT with a
 * line on stderr when it could not be. */
int	 command_end(int status);
/* Finds argv[1] in a table and runs it with what follows; says what there is
 * when it is missing or unknown. */
int	 command_dispatch(const char *prefix, const struct command *table,
	    size_t count, int argc, char **argv);
/* Says "postern: ..." with the command's usage line on stderr; EX_USAGE. */
int	 command_usage(const char *prefix, const struct command *command,
	    const char *problem);
/* The same for a word that getopt(3) did not take. */
int	 command_wrong_option(const char *prefix,
	    const struct command *command, const char *word);
/* Reads -c, --config, -j, --json, -h; moves *argc and *argv to the operands.
 * -1: go on; otherwise the exit status (after --help or a wrong option). */
int	 command_read_options(const char *prefix,
	    const struct command *command, struct command_options *options,
	    int *argc, char ***argv);

int	 command_run(int argc, char **argv);
int	 command_stop(int argc, char **argv);
int	 command_reload(int argc, char **argv);
int	 command_status(int argc, char **argv);
int	 command_check(int argc, char **argv);
int	 command_check_message(int argc, char **argv);
int	 command_address(int argc, char **argv);
int	 command_conf(int argc, char **argv);
int	 command_queue(int argc, char **argv);
int	 command_policy(int argc, char **argv);
int	 command_lab(int argc, char **argv);
int	 command_table(int argc, char **argv);
int	 command_relay(int argc, char **argv);
int	 command_user(int argc, char **argv);

#endif
