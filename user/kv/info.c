/* SPDX-License-Identifier: MIT
 *
 * What INFO says.
 */
#include <stdio.h>

#include "user/kv/kv.h"

static u32
append_server(char *to, u32 room)
{
	return (u32)snprintf(to, room,
			     "# Server\r\n"
			     "redis_version:7.0.0\r\n"
			     "server_name:denali\r\n"
			     "tcp_port:6379\r\n"
			     "# Clients\r\n"
			     "connected_clients:%u\r\n"
			     "# Stats\r\n"
			     "total_commands_processed:%llu\r\n",
			     server_clients, (unsigned long long)commands_executed);
}

static u32
append_memory(char *to, u32 room)
{
	u32 used = (cells_total() - cells_free(FOR_TALK)) * CELL_SIZE;
	u32 most = used + cells_free(FOR_DATA) * CELL_SIZE;

	return (u32)snprintf(to, room,
			     "# Memory\r\n"
			     "used_memory:%u\r\n"
			     "maxmemory:%u\r\n"
			     "maxmemory_policy:noeviction\r\n",
			     used, most);
}

static u32
append_keys(char *to, u32 room)
{
	if (table_count() == 0)
		return (u32)snprintf(to, room, "# Keyspace\r\n");
	return (u32)snprintf(to, room, "# Keyspace\r\ndb0:keys=%u,expires=%u,avg_ttl=0\r\n",
			     table_count(), table_expiring());
}

u32
info_text(char *to, u32 room)
{
	u32 used = append_server(to, room);

	used += append_memory(to + used, room - used);
	used += log_info(to + used, room - used);
	return used + append_keys(to + used, room - used);
}
