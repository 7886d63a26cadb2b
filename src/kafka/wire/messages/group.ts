import type { Request } from '../request.ts'

/** What the group knows this process by; `instance` is the static membership's group.instance.id (KIP-345). */
export type Member = { readonly group: string; readonly member: string; readonly instance: string | null }

/** A member at one generation. */
export type Seat = Member & { readonly generation: number }

const PROTOCOL_TYPE = 'consumer'

export type Joined = {
  readonly code: number
  readonly generation: number
  readonly protocol: string
  readonly leader: string
  readonly member: string
  /** Filled for the leader only. */
  readonly members: readonly {
    readonly member: string
    readonly instance: string | null
    readonly metadata: Buffer
  }[]
}

/** JoinGroupRequest.json, JoinGroupResponse.json version 7. Answers when the whole group has joined. */
export const joinGroup = (
  who: Member,
  times: { readonly sessionTimeoutMs: number; readonly rebalanceTimeoutMs: number },
  protocol: { readonly name: string; readonly metadata: Uint8Array },
): Request<Joined> => ({
  apiKey: 11,
  apiVersion: 7,
  apiName: 'JoinGroup',
  flexible: true,
  write: (w) => {
    w.compactString(who.group).int32(times.sessionTimeoutMs).int32(times.rebalanceTimeoutMs)
    w.compactString(who.member).compactNullableString(who.instance).compactString(PROTOCOL_TYPE)
    w.compactArray([protocol], ({ name, metadata }) => w.compactString(name).compactBytes(metadata).tags()).tags()
  },
  read: (r) => {
    r.int32()
    const code = r.int16()
    const generation = r.int32()
    r.compactNullableString()
    const protocol = r.compactNullableString() ?? ''
    const leader = r.compactString()
    const member = r.compactString()
    const members = r.compactArray(() => {
      const each = { member: r.compactString(), instance: r.compactNullableString(), metadata: r.compactBytes() }
      r.tags()
      return each
    })
    return { code, generation, protocol, leader, member, members }
  },
})

/** SyncGroupRequest.json, SyncGroupResponse.json version 5. `assignments` empty for all but the leader. */
export const syncGroup = (
  seat: Seat,
  protocol: string,
  assignments: readonly { readonly member: string; readonly assignment: Uint8Array }[],
): Request<{ readonly code: number; readonly assignment: Buffer }> => ({
  apiKey: 14,
  apiVersion: 5,
  apiName: 'SyncGroup',
  flexible: true,
  write: (w) => {
    w.compactString(seat.group).int32(seat.generation).compactString(seat.member)
    w.compactNullableString(seat.instance).compactNullableString(PROTOCOL_TYPE).compactNullableString(protocol)
    w.compactArray(assignments, (each) => w.compactString(each.member).compactBytes(each.assignment).tags()).tags()
  },
  read: (r) => {
    r.int32()
    const code = r.int16()
    r.compactNullableString()
    r.compactNullableString()
    return { code, assignment: r.compactBytes() }
  },
})

/** HeartbeatRequest.json, HeartbeatResponse.json version 4. */
export const heartbeat = (seat: Seat): Request<{ readonly code: number }> => ({
  apiKey: 12,
  apiVersion: 4,
  apiName: 'Heartbeat',
  flexible: true,
  write: (w) => {
    w.compactString(seat.group).int32(seat.generation).compactString(seat.member)
    w.compactNullableString(seat.instance).tags()
  },
  read: (r) => {
    r.int32()
    return { code: r.int16() }
  },
})

/** LeaveGroupRequest.json, LeaveGroupResponse.json version 4. Only with its instance id does a static member leave. */
export const leaveGroup = (who: Member): Request<{ readonly code: number }> => ({
  apiKey: 13,
  apiVersion: 4,
  apiName: 'LeaveGroup',
  flexible: true,
  write: (w) => {
    w.compactString(who.group)
    w.compactArray([who], (each) => w.compactString(each.member).compactNullableString(each.instance).tags()).tags()
  },
  read: (r) => {
    r.int32()
    const code = r.int16()
    const [member] = r.compactArray(() => {
      r.compactString()
      r.compactNullableString()
      const code = r.int16()
      r.tags()
      return code
    })
    return { code: code === 0 ? (member ?? 0) : code }
  },
})
