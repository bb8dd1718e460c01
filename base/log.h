/* SPDX-License-Identifier: ISC */
/*
 * One event, one line: identifiers first, then role and event, then
 * key=value pairs:
 *
 *	s=4f2a81 smtpd connect addr=192.0.2.1 tls=no
 *
 *	log_info("connect", log_session(id), log_text("addr", text));
 *
 * Values are escaped here and nowhere else: a value with a space, a quote, an
 * equals sign or nothing in it is put in double quotes; control characters,
 * backslash, quote, DEL and bytes that are not valid UTF-8 become \xHH. A value
 * is cut at 1,000 bytes with "...". Secrets are never passed to it.
 *
 * Records go to descriptor 2 (the supervisor reads the other end). info and
 * debug lines wait until the end of the loop's turn and are written together;
 * warnings and worse are written at once and end in level=warn, error, fatal.
 */
#ifndef POSTERN_BASE_LOG_H
#define POSTERN_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN,
    LOG_LEVEL_ERROR, LOG_LEVEL_FATAL };

/* How a line begins: as it is; with the time; with a priority for the journal
 * or the supervisor (sd-daemon(3), "<6>"). */
enum log_style { LOG_PLAIN, LOG_STAMPED, LOG_MARKED };

enum log_kind { LOG_KIND_END, LOG_KIND_NOTHING, LOG_KIND_SESSION,
    LOG_KIND_MESSAGE, LOG_KIND_TEXT, LOG_KIND_NUMBER, LOG_KIND_ERRNO };

struct log_field {
	enum log_kind	 kind;
	const char	*key;		/* literal; outlives the call */
	const char	*text;		/* null prints as "-" */
	int64_t		 number;
};

/* s=: a session; m=: a message (hexadecimal, as the queue prints it). */
struct log_field log_session(uint64_t id);
struct log_field log_message(uint64_t id);
struct log_field log_text(const char *key, const char *value);
/* Not there at all when value is null. */
struct log_field log_optional(const char *key, const char *value);
struct log_field log_number(const char *key, int64_t value);
/* error="No such file or directory" */
struct log_field log_errno(int error_number);

#define LOG_FIELDS(...) ((const struct log_field[]){ __VA_ARGS__ \
    __VA_OPT__(,) { .kind = LOG_KIND_END } })

void	 log_write(enum log_level level, const char *event,
	    const struct log_field *fields);
void	 log_die(bool abort_now, const char *event,
	    const struct log_field *fields) __attribute__((noreturn));

#define log_debug(event, ...) log_write(LOG_LEVEL_DEBUG, event, \
    LOG_FIELDS(__VA_ARGS__))
#define log_info(event, ...) log_write(LOG_LEVEL_INFO, event, \
    LOG_FIELDS(__VA_ARGS__))
#define log_warn(event, ...) log_write(LOG_LEVEL_WARN, event, \
    LOG_FIELDS(__VA_ARGS__))
#define log_error(event, ...) log_write(LOG_LEVEL_ERROR, event, \
    LOG_FIELDS(__VA_ARGS__))
/* The world is broken: say so, end with status 1; the supervisor restarts. */
#define fatal(event, ...) log_die(false, event, LOG_FIELDS(__VA_ARGS__))
/* We are broken: say so, abort. */
#define bug(event) log_die(true, event, LOG_FIELDS(log_text("at", __func__)))

/* Name printed after the identifiers; level below which nothing is written. */
void	 log_init(const char *role, enum log_level lowest);
void	 log_set_level(enum log_level lowest);
void	 log_set_style(enum log_style style);
/* Writes what waits; the loop calls it at the end of each turn. */
void	 log_flush(void);
/* Escapes value as a log line would, into out (always terminated). */
void	 log_escape(const char *value, size_t length, char *out, size_t size);

#endif
