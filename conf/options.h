/* SPDX-License-Identifier: ISC */
/*
 * The one table of options. An option is a name in the file, a member of
 * struct conf or of a section's struct, a type with bounds, a default written
 * as in the file, and a sentence. Reading, printing, freeing, the sample and
 * the option list of postern.conf(5) all walk this table; adding an option is
 * one row here and one member in conf/conf.h. All of it is constant.
 */
#ifndef POSTERN_CONF_OPTIONS_H
#define POSTERN_CONF_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct conf;

enum option_section { SECTION_TOP, SECTION_CERTIFICATE, SECTION_LISTEN,
    SECTION_MILTER, SECTION_DOMAIN, SECTION_ROUTE, SECTION_DESTINATION,
    SECTION_COUNT };

/* The member behind each type is named in the comment. */
enum option_type {
	OPTION_BOOL,		/* bool */
	OPTION_INTEGER,		/* int64_t */
	OPTION_SIZE,		/* int64_t, bytes */
	OPTION_DURATION,	/* int64_t, seconds */
	OPTION_TEXT,		/* char *; one of choices if there are any */
	OPTION_PATH,		/* char *; begins with a slash */
	OPTION_TEXTS,		/* struct conf_texts */
	OPTION_NETWORKS,	/* struct conf_networks */
	OPTION_ENUM,		/* an enum whose values index choices */
	OPTION_FALLBACK,	/* enum conf_fallback, and int64_t seconds at
				 * second_offset */
	OPTION_RATE,		/* struct conf_rate */
	OPTION_FINGERPRINTS	/* uint8_t (*)[DIGEST_BYTES], and size_t at
				 * second_offset */
};

struct option {
	enum option_section	 section;
	const char		*name;		/* in the file */
	const char		*member;	/* in the struct */
	enum option_type	 type;
	size_t			 offset;
	size_t			 second_offset;
	/* Default as in the file; lists are separated by spaces. */
	const char		*fallback;
	/* What an empty default stands for, for people; may be null. */
	const char		*computed;
	/* As written in the file; for the sample where the default is empty;
	 * may be null. */
	const char		*example;
	int64_t			 min, max;	/* numbers: both inclusive */
	const char *const	*choices;	/* null-terminated; or null */
	bool			 required;	/* empty is an error */
	const char		*text;		/* for the manual and sample */
};

struct section {
	const char	*name;
	const char	*title;		/* what the title is, for people */
	const char	*text;
	const char	*example;	/* a title, for the sample */
	size_t		 array_offset;	/* in struct conf: pointer */
	size_t		 count_offset;	/* in struct conf: size_t */
	size_t		 size;		/* of an element; its first member is
					 * the title, char * */
};

extern const struct option	 options[];	/* by section, in order */
extern const size_t		 option_count;
extern const struct section	 sections[SECTION_COUNT];

/* Where the system keeps these, from config.h. */
extern const char	 system_mail_directory[];
extern const char	 system_run_directory[];

/* Null if there is none. */
const struct option	*option_find(enum option_section section,
			    const char *name);
/* SECTION_COUNT if there is none; the top level has no name. */
enum option_section	 section_find(const char *name);

/* Element index of a section of conf; conf itself for SECTION_TOP. */
void	*section_element(const struct conf *conf, enum option_section section,
	    size_t index);
size_t	 section_count(const struct conf *conf, enum option_section section);

#endif
