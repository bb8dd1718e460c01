/* SPDX-License-Identifier: ISC */
/*
 * The written configuration: see settings.h. A hosting site names thousands
 * of domains, so blocks are found by their number; the settings of one block
 * are few and lie together, but for those of the top level.
 */
#include "conf/settings.h"

#include <string.h>

#include "base/mem.h"

void settings_release(struct settings *settings)
{
	for (size_t i = 0; i < settings->count; i++) {
		for (size_t k = 0; k < settings->items[i].word_count; k++)
			mem_free(settings->items[i].words[k]);
		mem_free(settings->items[i].words);
	}
	for (size_t i = 0; i < settings->block_count; i++)
		mem_free(settings->blocks[i].title);
	for (int i = SECTION_TOP; i < SECTION_COUNT; i++)
		mem_free(settings->places[i]);
	mem_free(settings->items);
	mem_free(settings->blocks);
	memset(settings, 0, sizeof(*settings));
}

void settings_reset(struct settings *settings)
{
	settings_release(settings);
	settings_add_block(settings, SECTION_TOP, "", 0);
}

struct block *settings_add_block(struct settings *settings,
    enum option_section section, const char *title, int line)
{
	size_t index = settings->counts[section]++;
	struct block *block;

	settings->places[section] = mem_resize(settings->places[section],
	    index + 1, sizeof(*settings->places[section]));
	settings->places[section][index] = settings->block_count;
	settings->blocks = mem_resize(settings->blocks,
	    settings->block_count + 1, sizeof(*settings->blocks));
	block = &settings->blocks[settings->block_count++];
	*block = (struct block){ .section = section, .index = index,
	    .title = mem_dup_string(title), .line = line };
	return block;
}

struct setting *settings_add(struct settings *settings,
    const struct option *option, size_t block, int line)
{
	struct setting *setting;

	settings->items = mem_resize(settings->items, settings->count + 1,
	    sizeof(*settings->items));
	setting = &settings->items[settings->count++];
	*setting = (struct setting){ .option = option, .block = block,
	    .line = line };
	return setting;
}

void setting_add_word(struct setting *setting, const char *word)
{
	setting->words = mem_resize(setting->words, setting->word_count + 1,
	    sizeof(*setting->words));
	setting->words[setting->word_count++] = mem_dup_string(word);
}

struct setting *settings_find(const struct settings *settings, size_t block,
    const char *name)
{
	struct setting *item;

	/*
	 * Backwards: the parser asks for what it has just added. Blocks were
	 * added in order; only the top level comes back between them.
	 */
	for (size_t i = settings->count; i > 0; i--) {
		item = &settings->items[i - 1];
		if (item->block == block &&
		    strcmp(item->option->name, name) == 0)
			return item;
		if (item->block != 0 && item->block < block)
			break;
	}
	return NULL;
}

const struct block *settings_block(const struct settings *settings,
    enum option_section section, size_t index)
{
	if (index >= settings->counts[section])
		return NULL;
	return &settings->blocks[settings->places[section][index]];
}

static const struct setting *locate(const struct settings *settings,
    enum option_section section, size_t index, const char *name)
{
	const struct block *block = settings_block(settings, section, index);

	if (block == NULL)
		return NULL;
	return settings_find(settings, (size_t)(block - settings->blocks),
	    name);
}

int settings_line(const struct settings *settings,
    enum option_section section, size_t index, const char *name)
{
	const struct setting *setting = locate(settings, section, index, name);
	const struct block *block = settings_block(settings, section, index);

	if (setting != NULL)
		return setting->line;
	return block != NULL ? block->line : 0;
}

bool settings_given(const struct settings *settings,
    enum option_section section, size_t index, const char *name)
{
	return locate(settings, section, index, name) != NULL;
}
