/* SPDX-License-Identifier: ISC */
/*
 * The operator's connection, role side. The command connects to the
 * supervisor's socket and sends a fixed header (control_hello); the supervisor
 * passes the descriptor on to the role that it names, with the caller's
 * credentials. Then JSON, one object a line: a request
 * {"verb":"list","arguments":{...}}, answers {...} of the verb's own shape, and
 * at the end {"end":CODE,"message":TEXT}. One request a connection.
 *
 * Writing is paced: a verb with much to say gives a producer, which is called
 * whenever the output has drained and adds a bounded page.
 */
#ifndef POSTERN_BASE_CONTROL_H
#define POSTERN_BASE_CONTROL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct process_caller;

/* What the command sends first. */
struct control_hello {
	char	 magic[8];	/* CONTROL_MAGIC */
	uint8_t	 role;		/* enum role; ROLE_SUPERVISOR for its own */
	uint8_t	 verb;		/* enum control_supervisor_verb, else 0 */
	uint8_t	 unused[6];
};
#define CONTROL_MAGIC "POSTERN1"

/* The supervisor's own verbs; answered by the same JSON lines. */
enum control_supervisor_verb { CONTROL_STATUS = 1, CONTROL_RELOAD,
    CONTROL_STOP };

/* Exit codes of the command, and the "end" of an answer (sysexits(3);
 * CONTROL_STOPPED: as a shell has it for an interrupt). */
enum control_code { CONTROL_OK = 0, CONTROL_NONE_MATCHED = 1,
    CONTROL_USAGE = 64, CONTROL_DATA = 65, CONTROL_UNAVAILABLE = 69,
    CONTROL_INTERNAL = 70, CONTROL_OUTPUT = 74,
    CONTROL_TEMPORARY = 75, CONTROL_DENIED = 77,
    CONTROL_CONFIG = 78, CONTROL_STOPPED = 130 };

struct control;		/* one connection */

typedef void control_handler(struct control *control, const json_t *arguments);

struct control_verb {
	const char	*name;
	bool		 privileged;	/* refused to others with DENIED */
	control_handler	*handler;
};

/* Owns fd; reads the request (64 KiB, 10 seconds at most), finds the verb. */
void	 control_accept(int fd, const struct process_caller *caller,
	    const struct control_verb *verbs, size_t count);

/* A connection whose request was in the hello itself (the supervisor's verbs):
 * nothing is read, the caller answers at once. Owns fd. */
struct control	*control_open(int fd, const struct process_caller *caller);

/* From now on a line of the answer may be so long in coming; a minute is
 * allowed where this is not said. */
void	 control_wait(struct control *control, int milliseconds);
/* One line of the answer; takes the reference. Its length. */
size_t	 control_send(struct control *control, json_t *object);
/* Ends the answer and the connection; the pointer is void afterwards. */
void	 control_end(struct control *control, enum control_code code,
	    const char *message);
/*
 * Calls produce each time the output has drained, until control_end(). arg
 * belongs to the handler; release (may be null) is called once when the
 * connection goes away for whatever reason, also after control_end().
 */
void	 control_produce(struct control *control,
	    void (*produce)(struct control *control, void *arg),
	    void (*release)(void *arg), void *arg);
/* The caller may want a verb under way to stop; then stop is called, once, with
 * the arg of control_produce(), and ends the answer soon. Without it they can
 * only go away. */
void	 control_on_stop(struct control *control,
	    void (*stop)(struct control *control, void *arg));
/* Text for an answer, from anywhere: bytes that are no UTF-8 are escaped. A new
 * reference. */
json_t	*control_text(const char *text);
/* Bytes as base64. A new reference. */
json_t	*control_base64(const void *data, size_t length);
/* Those bytes again, owned; null when it is no base64, or more than most. */
uint8_t	*control_bytes(const json_t *value, size_t most, size_t *length);
/* A moment (wall, ms) as RFC 3339 has it; null for 0. A new reference. */
json_t	*control_time(int64_t wall);
/* The connection is the caller's from now on (descriptor returned, owned), and
 * the pointer void; -1 when it has failed already. Inside of a handler. */
int	 control_detach(struct control *control);
const struct process_caller	*control_caller(const struct control *control);
/* Ends all connections and releases what their verbs had: what these work on
 * goes. Not inside of a handler. */
void	 control_end_all(enum control_code code, const char *message);

#endif
