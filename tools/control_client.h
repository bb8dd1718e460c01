/* SPDX-License-Identifier: ISC */
/*
 * The command's end of the operator's socket: one request, answers line by
 * line (text_read_answer()). Blocking, with a deadline on each step; for
 * short-lived commands only.
 */
#ifndef POSTERN_TOOLS_CONTROL_CLIENT_H
#define POSTERN_TOOLS_CONTROL_CLIENT_H

#include <jansson.h>
#include <stdbool.h>

#include "base/role.h"

struct conf;

/* What is to be done with an answer, and how it ended. */
struct control_client_answer {
	void	(*line)(void *arg, const json_t *object);	/* or null */
	void	*arg;
	char	 message[512];
};

/* Reads the configuration for a command; says what is wrong on stderr and
 * returns null when it cannot. */
struct conf	*control_client_conf(const char *path);

/* 0 when a server answers at the control socket, else an errno: ENOENT or
 * ECONNREFUSED when none runs, EACCES when the caller may not ask it. Says
 * nothing. */
int	 control_client_try(const struct conf *conf);

/*
 * Asks role for verb with arguments (reference taken; null for none). Each
 * answer goes to line (borrowed). The final message is printed on stderr when
 * the code is not 0, on stdout otherwise. Returns the code.
 */
int	 control_client_ask(const struct conf *conf, enum role role,
	    const char *verb, json_t *arguments,
	    void (*line)(void *arg, const json_t *object), void *arg);
/* The same for a verb that may take long: an interrupt (SIGINT) asks the role to
 * stop (control_on_stop()), and the answer says how far it came; a second one
 * ends the command. */
int	 control_client_ask_long(const struct conf *conf, enum role role,
	    const char *verb, json_t *arguments,
	    void (*line)(void *arg, const json_t *object), void *arg);
/* For a verb that goes on in a way of its own on the same connection: its
 * descriptor (owned) once the request has been sent, or -1 after a sentence on
 * stderr, with EACCES in errno for a socket that we may not use. */
int	 control_client_open(const struct conf *conf, enum role role,
	    const char *verb, json_t *arguments);
/* The same, but nothing is printed: what would be, without "postern: ", is in
 * message (may be empty). */
int	 control_client_ask_quietly(const struct conf *conf, enum role role,
	    const char *verb, json_t *arguments,
	    struct control_client_answer *answer);
/* For the supervisor's own verbs (enum control_supervisor_verb). */
int	 control_client_tell(const struct conf *conf, unsigned verb,
	    void (*line)(void *arg, const json_t *object), void *arg);

/* Lines of errors, each as "postern: ..." on stderr. */
void	 control_client_complain(const char *errors);

#endif
