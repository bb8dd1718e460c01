/* SPDX-License-Identifier: ISC */
/*
 * An asker outlives its connection: when that is closed first, the answer goes
 * nowhere. A client over TCP may send more queries before it has its answers.
 */
#include "tools/lab/dns_socket.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/net.h"

enum { DNS_PORT = 53, PREFIX_BYTES = 2, IDLE_MILLISECONDS = 10000,
    DATAGRAMS_PER_TURN = 64, BACKLOG = 64, ANSWERS_BYTES = 256 << 10 };

struct dns_socket {
	struct endpoint		 address;
	int			 udp, tcp;	/* owned */
	struct watch		 udp_watch, tcp_watch;
	bool			 started;
	dns_socket_query	*callback;
	void			*arg;
	unsigned		 client_count;
	LIST_HEAD(, client)	 clients;
};

/* A TCP connection. */
struct client {
	struct dns_socket	*dns;
	int			 fd;		/* owned */
	struct watch		 watch;
	struct timer		 timer;
	struct buf		 input, output;
	LIST_HEAD(, dns_asker)	 askers;
	LIST_ENTRY(client)	 entry;
};

struct dns_asker {
	bool			 is_tcp;
	struct client		*client;	/* null: UDP, or gone */
	struct dns_socket	*dns;
	struct endpoint		 peer;		/* UDP */
	LIST_ENTRY(dns_asker)	 entry;		/* of the client */
};

/* --- connections --- */

static void client_free(struct client *client)
{
	struct dns_asker *asker;

	while ((asker = LIST_FIRST(&client->askers)) != NULL) {
		LIST_REMOVE(asker, entry);
		asker->client = NULL;
	}
	LIST_REMOVE(client, entry);
	client->dns->client_count--;
	watch_release(&client->watch);
	timer_stop(&client->timer);
	buf_release(&client->input);
	buf_release(&client->output);
	close(client->fd);
	mem_free(client);
}

static void on_idle(void *arg)
{
	client_free(arg);
}

static void client_touch(struct client *client)
{
	timer_start(&client->timer, IDLE_MILLISECONDS, on_idle, client);
	watch_set(&client->watch, WATCH_READ |
	    (buf_length(&client->output) > 0 ? WATCH_WRITE : 0));
}

static void client_write(struct client *client)
{
	ssize_t sent;

	while (buf_length(&client->output) > 0) {
		sent = send(client->fd, buf_data(&client->output),
		    buf_length(&client->output), MSG_NOSIGNAL);
		if (sent < 0 && errno == EAGAIN)
			break;
		if (sent <= 0) {
			client_free(client);
			return;
		}
		buf_consume(&client->output, (size_t)sent);
	}
	client_touch(client);
}

static void client_ask(struct client *client, const uint8_t *query,
    size_t length)
{
	struct dns_asker *asker = mem_alloc(sizeof(*asker));

	asker->is_tcp = true;
	asker->client = client;
	asker->dns = client->dns;
	LIST_INSERT_HEAD(&client->askers, asker, entry);
	client->dns->callback(client->dns->arg, asker, query, length);
}

/* One whole query from the input: 1, none yet: 0, too long: -1. */
static int take_query(struct client *client, uint8_t *query, size_t *length)
{
	const char *data = buf_data(&client->input);
	size_t got = buf_length(&client->input);

	if (got < PREFIX_BYTES)
		return 0;
	*length = (size_t)(uint8_t)data[0] << 8 | (uint8_t)data[1];
	if (*length > DNS_SOCKET_QUERY)
		return -1;
	if (got < PREFIX_BYTES + *length)
		return 0;
	memcpy(query, data + PREFIX_BYTES, *length);
	buf_consume(&client->input, PREFIX_BYTES + *length);
	return 1;
}

/* Answers are only queued while queries are taken, so the client stays. */
static void client_read(struct client *client)
{
	uint8_t query[DNS_SOCKET_QUERY];
	size_t room = buf_room(&client->input), length = 0;
	char *place = buf_reserve(&client->input, room);
	ssize_t got = place == NULL ? 0 : recv(client->fd, place, room, 0);
	int taken;

	if (got < 0 && errno == EAGAIN)
		return;
	if (got <= 0) {
		client_free(client);
		return;
	}
	buf_commit(&client->input, (size_t)got);
	while ((taken = take_query(client, query, &length)) == 1)
		client_ask(client, query, length);
	if (taken == -1)
		client_free(client);
	else
		client_touch(client);
}

static void on_client(void *arg, int flags)
{
	struct client *client = arg;

	if (flags & WATCH_WRITE)
		client_write(client);
	else
		client_read(client);
}

static void on_connection(void *arg, int flags)
{
	struct dns_socket *dns = arg;
	struct client *client;
	int fd = net_accept(dns->tcp, NULL);

	(void)flags;
	if (fd == -1)
		return;
	if (dns->client_count >= DNS_SOCKET_CLIENTS) {
		close(fd);
		return;
	}
	net_no_delay(fd);
	client = mem_alloc(sizeof(*client));
	client->dns = dns;
	client->fd = fd;
	LIST_INIT(&client->askers);
	LIST_INSERT_HEAD(&dns->clients, client, entry);
	dns->client_count++;
	buf_init(&client->input, PREFIX_BYTES + DNS_SOCKET_QUERY);
	buf_init(&client->output, ANSWERS_BYTES);
	watch_init(&client->watch, fd, on_client, client);
	client_touch(client);
}

/* --- datagrams --- */

static bool read_datagram(struct dns_socket *dns)
{
	uint8_t query[DNS_SOCKET_QUERY];
	struct sockaddr_storage from;
	socklen_t length = sizeof(from);
	ssize_t got = recvfrom(dns->udp, query, sizeof(query), 0,
	    (struct sockaddr *)&from, &length);
	struct dns_asker *asker;

	if (got < 0)
		return false;
	asker = mem_alloc(sizeof(*asker));
	asker->dns = dns;
	endpoint_from_socket(&asker->peer, (struct sockaddr *)&from, length);
	dns->callback(dns->arg, asker, query, (size_t)got);
	return true;
}

static void on_datagram(void *arg, int flags)
{
	int count = 0;

	(void)flags;
	while (count++ < DATAGRAMS_PER_TURN && read_datagram(arg))
		;
}

/* --- askers --- */

bool dns_asker_is_tcp(const struct dns_asker *asker)
{
	return asker->is_tcp;
}

static void answer_client(struct client *client, const uint8_t *packet,
    size_t length)
{
	const uint8_t prefix[PREFIX_BYTES] = { (uint8_t)(length >> 8),
	    (uint8_t)length };

	if (length > UINT16_MAX ||
	    buf_room(&client->output) < PREFIX_BYTES + length)
		return;
	buf_add(&client->output, prefix, sizeof(prefix));
	buf_add(&client->output, packet, length);
	watch_set(&client->watch, WATCH_READ | WATCH_WRITE);
}

void dns_asker_answer(struct dns_asker *asker, const uint8_t *packet,
    size_t length)
{
	if (asker->client != NULL)
		LIST_REMOVE(asker, entry);
	if (packet != NULL && asker->client != NULL)
		answer_client(asker->client, packet, length);
	else if (packet != NULL && !asker->is_tcp)
		(void)sendto(asker->dns->udp, packet, length, 0,
		    &asker->peer.address.any, asker->peer.length);
	mem_free(asker);
}

/* --- life --- */

static int bind_udp(const struct endpoint *address)
{
	int fd = socket(address->address.any.sa_family,
	    SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	int problem;

	if (fd == -1 ||
	    bind(fd, &address->address.any, address->length) == 0)
		return fd;
	problem = errno;
	close(fd);
	errno = problem;
	return -1;
}

struct dns_socket *dns_socket_new(const char *address, char *error,
    size_t size)
{
	struct dns_socket *dns = mem_alloc(sizeof(*dns));

	LIST_INIT(&dns->clients);
	dns->udp = dns->tcp = -1;
	if (endpoint_parse(&dns->address, address, DNS_PORT) == -1) {
		errno = EINVAL;
	} else {
		dns->udp = bind_udp(&dns->address);
		if (dns->udp != -1)
			dns->tcp = net_listen(&dns->address, BACKLOG);
	}
	if (dns->tcp != -1)
		return dns;
	snprintf(error, size, "cannot listen on %s port 53: %s", address,
	    strerror(errno));
	dns_socket_free(dns);
	return NULL;
}

void dns_socket_start(struct dns_socket *dns, dns_socket_query *callback,
    void *arg)
{
	dns->callback = callback;
	dns->arg = arg;
	dns->started = true;
	watch_init(&dns->udp_watch, dns->udp, on_datagram, dns);
	watch_set(&dns->udp_watch, WATCH_READ);
	watch_init(&dns->tcp_watch, dns->tcp, on_connection, dns);
	watch_set(&dns->tcp_watch, WATCH_READ);
}

void dns_socket_free(struct dns_socket *dns)
{
	if (dns == NULL)
		return;
	while (!LIST_EMPTY(&dns->clients))
		client_free(LIST_FIRST(&dns->clients));
	if (dns->started) {
		watch_release(&dns->udp_watch);
		watch_release(&dns->tcp_watch);
	}
	if (dns->udp != -1)
		close(dns->udp);
	if (dns->tcp != -1)
		close(dns->tcp);
	mem_free(dns);
}
