/* SPDX-License-Identifier: ISC */
/*
 * Questions of smtpd about a client or a message, and policy's answers, as
 * bytes. What is read is whole and sound, or -1: addresses are IPv4 or IPv6,
 * enums are known, texts have no control characters, names and what goes into
 * header fields are printable ASCII, and nothing is left over. Texts and lists
 * of what was read are in the arena. Writing cuts what is too long, and cleans
 * the words of answers, which may hold what strangers have put in the DNS.
 */
#ifndef POSTERN_POLICY_CHECK_MESSAGE_H
#define POSTERN_POLICY_CHECK_MESSAGE_H

#include "policy/client.h"

struct arena;
struct wire_reader;
struct wire_writer;

/* What any of them takes when it is read. */
enum { CHECK_MESSAGE_ARENA = 64 << 10 };

struct text_answer {
	enum dkim_key_answer	 answer;
	const char		*text;
};

struct listed_question {
	const struct endpoint	*address;
	const char		*zone;
};

struct listed_answer {
	bool		 failed;
	const struct endpoint *answers;
	size_t		 count;
};

void	 spf_question_put(struct wire_writer *writer,
	    const struct policy_spf_question *question);
int	 spf_question_get(struct wire_reader *reader, struct arena *arena,
	    struct policy_spf_question *question);
void	 spf_answer_put(struct wire_writer *writer,
	    const struct policy_spf_answer *answer);
int	 spf_answer_get(struct wire_reader *reader, struct arena *arena,
	    struct policy_spf_answer *answer);

void	 text_question_put(struct wire_writer *writer, const char *name);
int	 text_question_get(struct wire_reader *reader, struct arena *arena,
	    const char **name);
void	 text_answer_put(struct wire_writer *writer,
	    const struct text_answer *answer);
int	 text_answer_get(struct wire_reader *reader, struct arena *arena,
	    struct text_answer *answer);

void	 dmarc_question_put(struct wire_writer *writer,
	    const struct dmarc_question *question);
int	 dmarc_question_get(struct wire_reader *reader, struct arena *arena,
	    struct dmarc_question *question);
/* Of a step that is done. */
void	 dmarc_answer_put(struct wire_writer *writer,
	    const struct dmarc_step *step);
int	 dmarc_answer_get(struct wire_reader *reader, struct arena *arena,
	    struct dmarc_step *step);

void	 listed_question_put(struct wire_writer *writer,
	    const struct listed_question *question);
int	 listed_question_get(struct wire_reader *reader, struct arena *arena,
	    struct listed_question *question);
void	 listed_answer_put(struct wire_writer *writer,
	    const struct listed_answer *answer);
int	 listed_answer_get(struct wire_reader *reader, struct arena *arena,
	    struct listed_answer *answer);

void	 greylist_question_put(struct wire_writer *writer,
	    const struct policy_greylist_question *question);
int	 greylist_question_get(struct wire_reader *reader,
	    struct arena *arena, struct policy_greylist_question *question);
void	 greylist_answer_put(struct wire_writer *writer, int64_t wait);
int	 greylist_answer_get(struct wire_reader *reader, int64_t *wait);

#endif
