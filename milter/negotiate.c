/* SPDX-License-Identifier: ISC */
/*
 * One table has what the protocol says of each stage.
 */
#include "milter/negotiate.h"

#include "base/buf.h"
#include "milter/packet.h"

struct row {
	char			 command;
	enum macro_stage	 macros;
	uint32_t		 unwanted;	/* steps: not sent; 0: always */
	uint32_t		 silent;	/* steps: no reply; 0: always */
	uint32_t		 version;	/* since when it is there */
};

static const struct row rows[STAGES] = {
	[STAGE_CONNECT] = { COMMAND_CONNECT, MACRO_CONNECT, STEP_NO_CONNECT,
	    STEP_SILENT_CONNECT, 2 },
	[STAGE_HELO] = { COMMAND_HELO, MACRO_HELO, STEP_NO_HELO,
	    STEP_SILENT_HELO, 2 },
	[STAGE_MAIL] = { COMMAND_MAIL, MACRO_MAIL, STEP_NO_MAIL,
	    STEP_SILENT_MAIL, 2 },
	[STAGE_RECIPIENT] = { COMMAND_RECIPIENT, MACRO_RECIPIENT,
	    STEP_NO_RECIPIENT, STEP_SILENT_RECIPIENT, 2 },
	[STAGE_DATA] = { COMMAND_DATA, MACRO_DATA, STEP_NO_DATA,
	    STEP_SILENT_DATA, 4 },
	[STAGE_HEADER] = { COMMAND_HEADER, MACRO_NONE, STEP_NO_HEADER,
	    STEP_SILENT_HEADER, 2 },
	[STAGE_END_OF_HEADER] = { COMMAND_END_OF_HEADER, MACRO_END_OF_HEADER,
	    STEP_NO_END_OF_HEADER, STEP_SILENT_END_OF_HEADER, 2 },
	[STAGE_BODY] = { COMMAND_BODY, MACRO_NONE, STEP_NO_BODY,
	    STEP_SILENT_BODY, 2 },
	[STAGE_END] = { COMMAND_END_OF_BODY, MACRO_END_OF_MESSAGE, 0, 0, 2 },
};

void negotiate_offer(struct buf *out)
{
	struct packet_writer writer;

	packet_begin(&writer, out, COMMAND_OPTIONS);
	packet_put_u32(&writer, NEGOTIATE_VERSION);
	packet_put_u32(&writer, CHANGES_OFFERED);
	packet_put_u32(&writer, STEPS_OFFERED);
	packet_end(&writer);
}

static const char *find_fault(const struct negotiated *negotiated)
{
	if (negotiated->version < NEGOTIATE_VERSION_MIN ||
	    negotiated->version > NEGOTIATE_VERSION)
		return "it speaks another version of the protocol";
	if ((negotiated->changes & ~(uint32_t)CHANGES_OFFERED) != 0)
		return "it wants to change what no filter may change";
	if ((negotiated->steps & ~(uint32_t)STEPS_OFFERED) != 0)
		return "it wants steps that were not offered";
	return NULL;
}

int negotiate_read(struct negotiated *negotiated, struct macros *macros,
    const struct packet *packet, const char **why)
{
	struct wire_reader reader;

	if (packet->code != COMMAND_OPTIONS) {
		*why = "it did not answer with its options first";
		return -1;
	}
	wire_read_begin(&reader, packet->data, packet->length);
	negotiated->version = wire_get_u32(&reader);
	negotiated->changes = wire_get_u32(&reader);
	negotiated->steps = wire_get_u32(&reader);
	if (!reader.bad && (*why = find_fault(negotiated)) != NULL)
		return -1;
	while (packet_has_more(&reader)) {
		uint32_t stage = wire_get_u32(&reader);
		const char *list = packet_get_text(&reader);

		if (!reader.bad && macros_set(macros, stage, list) != 0)
			reader.bad = true;
	}
	*why = "its options cannot be read";
	return wire_read_end(&reader);
}

bool negotiated_wants(const struct negotiated *negotiated, enum stage stage)
{
	return (negotiated->steps & rows[stage].unwanted) == 0 &&
	    negotiated->version >= rows[stage].version;
}

bool negotiated_answers(const struct negotiated *negotiated, enum stage stage)
{
	return (negotiated->steps & rows[stage].silent) == 0;
}

size_t negotiated_data_max(const struct negotiated *negotiated)
{
	if (negotiated->steps & STEP_1M)
		return (1 << 20) - 1;
	if (negotiated->steps & STEP_256K)
		return (256 << 10) - 1;
	return 65535;
}

char stage_command(enum stage stage)
{
	return rows[stage].command;
}

enum macro_stage stage_macros(enum stage stage)
{
	return rows[stage].macros;
}

bool stage_is_of_message(enum stage stage)
{
	return stage >= STAGE_MAIL;
}
