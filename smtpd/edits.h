/* SPDX-License-Identifier: ISC */
/*
 * What is changed in the content of a message (header and body, as stored)
 * before it is accepted: a table of pieces, each of the stored content or of
 * text of our own. The stored content is never rewritten; the pieces go into
 * the envelope and say what goes out. All offsets are those of the view: the
 * content with all changes so far. Who cuts several fields begins below.
 *
 * Needs no copy of the content to cut and to insert; to read the view somebody
 * must have one (spool.h).
 */
#ifndef POSTERN_SMTPD_EDITS_H
#define POSTERN_SMTPD_EDITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct edits;
struct envelope;
struct session;

/* Up to size bytes of the stored content at offset, which is within it; how
 * many there were, one at least. */
typedef size_t edits_source(void *arg, uint64_t offset, char *out,
    size_t size);

/* length: of the stored content, nothing of which is changed yet. */
struct edits	*edits_new(uint64_t length);
/* To try changes that may fail half-way. */
struct edits	*edits_copy(const struct edits *edits);
/* Null is allowed. */
void		 edits_free(struct edits *edits);
/* Those of the transaction, made when there are none. Once the content is
 * whole (in a check of CHECK_CONTENT), not before. */
struct edits	*edits_of(struct session *session);

/* Of the view. */
uint64_t	 edits_length(const struct edits *edits);
/* Whether the view differs from the stored content. Null: it does not. */
bool		 edits_changed(const struct edits *edits);

/*
 * All three are 0, or -1 when more is changed than an envelope may hold
 * (nothing is done then). A range beyond the view is a bug.
 */
int		 edits_cut(struct edits *edits, uint64_t offset,
		    uint64_t length);
/* Whole lines, each ended by CRLF, without other CR, LF or NUL. Copied. */
int		 edits_insert(struct edits *edits, uint64_t offset,
		    const char *text, size_t length);
/* Bytes that are stored behind the content that came in. */
int		 edits_insert_stored(struct edits *edits, uint64_t offset,
		    uint64_t stored, uint64_t length);

/* Up to size bytes of the view; 0 at its end. */
size_t		 edits_read(const struct edits *edits, uint64_t offset,
		    char *out, size_t size, edits_source *source, void *arg);

/* Sets pieces and original_length; none when nothing was changed. They are
 * borrowed from edits, until the next change of it. */
void		 edits_put(struct edits *edits, struct envelope *envelope);

#endif
