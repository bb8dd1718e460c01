/* SPDX-License-Identifier: ISC */
/*
 * Messages between smtpd and the directory.
 */
#ifndef POSTERN_POLICY_DIRECTORY_MESSAGE_H
#define POSTERN_POLICY_DIRECTORY_MESSAGE_H

#include "base/address.h"
#include "policy/directory_client.h"

struct arena;
struct wire_reader;
struct wire_writer;

enum directory_message {
	/* of logins: policy/login.c */
	DIRECTORY_LOGIN = 16,	/* request; text mechanism, client and local
				 * (text and u16 port each), text certificate,
				 * bytes binding, u8 is there a response, bytes
				 * response */
	DIRECTORY_LOGIN_MORE,	/* the same request; bytes response */
	DIRECTORY_LOGIN_CANCEL,	/* the same request */
	DIRECTORY_LOGIN_ANSWER,	/* request; u8 enum login_answer, bytes, text
				 * user */
	DIRECTORY_OWNS,		/* request; text user, text address */
	DIRECTORY_OWNER,	/* request; u8 enum owner_answer */
	DIRECTORY_MECHANISMS,	/* text, with spaces: what its server has */

	/* of recipients: directory_message.c */
	DIRECTORY_CHECK = 1,	/* request; text address, text sender */
	DIRECTORY_ANSWER	/* request; u8 enum directory_answer; if found:
				 * u8 by alias, u8 and text forward sender,
				 * u32 n, { text address, u8 forwarded } */
};

enum { DIRECTORY_TEXT_MAX = ADDRESS_MAX + 16,
    DIRECTORY_LOGIN_MAX = 12 << 10 };	/* of each message of logins */

/* Ceilings: of the frames about recipients, and of what reading takes. */
enum { DIRECTORY_CHECK_BYTES = 2 * (DIRECTORY_TEXT_MAX + 8),
    DIRECTORY_ANSWER_BYTES = (DIRECTORY_TARGETS_MAX + 2) *
    (DIRECTORY_TEXT_MAX + 8),
    DIRECTORY_ARENA_MAX = DIRECTORY_TARGETS_MAX *
    (DIRECTORY_TEXT_MAX + 128) + (64 << 10) };

struct directory_check_message {
	const char	*address;
	const char	*sender;	/* "" is the null sender */
};
void	 directory_put_check(struct wire_writer *writer,
	    const struct directory_check_message *message);
int	 directory_get_check(struct wire_reader *reader, struct arena *arena,
	    struct directory_check_message *message);

struct directory_answer_message {
	enum directory_answer	 answer;
	struct directory_found	 found;		/* of DIRECTORY_FOUND */
};
void	 directory_put_answer(struct wire_writer *writer,
	    const struct directory_answer_message *message);
int	 directory_get_answer(struct wire_reader *reader, struct arena *arena,
	    struct directory_answer_message *message);

#endif
