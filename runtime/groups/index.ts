/** Door of the groups room: who may write, what is meant for whom, what an agent of a group is told. All of it is pure. */
export { isServed, judgeAdmission } from "./admission.ts";
export { type AgentReply, digestLines, findBroadcast, makeBroadcast, type Round } from "./broadcast.ts";
export { type ConversationFacts, conversationIds } from "./conversation-ids.ts";
export { findGroupTools, findToldRoom } from "./find-rules.ts";
export { explainAdmission, formatAdmission } from "./explain-admission.ts";
export { makeLoopGuard, pairName } from "./loop-guard.ts";
export { compileMentionPattern } from "./mention-patterns.ts";
export { type Activation, judgeMention, makeMentionPatterns, type MentionPatterns } from "./mentions.ts";
export { cut, frameDigest, frameMessage } from "./room-frames.ts";
export {
  type AccountRules,
  type AgentGroupChat,
  type BroadcastEntry,
  findRules,
  type GroupRule,
  type GroupsConfig,
  type GuildRule,
  type RoomRule,
  type RuleName,
  normalizeSender,
} from "./rules.ts";
