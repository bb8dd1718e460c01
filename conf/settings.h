/* SPDX-License-Identifier: ISC */
/*
 * A configuration as it was written: which option got which words, where. It
 * lies between the parser (read.c, which makes it) and the conversion to
 * struct conf (build.c), and lives on during the checks (check.c) so that
 * they can name lines.
 */
#ifndef POSTERN_CONF_SETTINGS_H
#define POSTERN_CONF_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>

#include "conf/options.h"

struct problems;

struct setting {
	const struct option	 *option;
	size_t			  block;	/* in which of blocks */
	int			  line;
	char			**words;	/* owned; one unless a list */
	size_t			  word_count;
};

struct block {			/* a section of the file; the first one is the
				 * top level */
	enum option_section	  section;
	size_t			  index;	/* among those of its kind */
	char			 *title;	/* owned */
	int			  line;
};

struct settings {
	struct setting	*items;
	size_t		 count;
	struct block	*blocks;
	size_t		 block_count;
	size_t		*places[SECTION_COUNT];	/* in blocks, by index */
	size_t		 counts[SECTION_COUNT];
};

/*
 * Parses text. 0, or -1 with problems when its form is wrong; what was read
 * until then is in settings all the same. Release it in both cases.
 */
int	 settings_read(struct settings *settings, const char *text,
	    struct problems *problems);
void	 settings_release(struct settings *settings);
void	 settings_reset(struct settings *settings);

struct block	*settings_add_block(struct settings *settings,
		    enum option_section section, const char *title, int line);
struct setting	*settings_add(struct settings *settings,
		    const struct option *option, size_t block, int line);
void		 setting_add_word(struct setting *setting, const char *word);

/* Null if it was not given. */
struct setting	*settings_find(const struct settings *settings,
		    size_t block, const char *name);
/* Block of element index of a kind, or null. */
const struct block	*settings_block(const struct settings *settings,
			    enum option_section section, size_t index);
/* Line of an option, else of its section, else 0. */
int	 settings_line(const struct settings *settings,
	    enum option_section section, size_t index, const char *name);
/* Was it given in the file? */
bool	 settings_given(const struct settings *settings,
	    enum option_section section, size_t index, const char *name);

#endif
