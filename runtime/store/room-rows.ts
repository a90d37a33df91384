/** The store's calls about groups, as transactions of the journal. */
import type { Journal } from "./journal.ts";
import type { Store } from "./port.ts";
import { addRow, findActivation, readRoom, type RoomBounds, setActivation } from "./rooms.ts";

export type RoomRows = Pick<Store, "keepRoomRow" | "room" | "activation" | "setActivation">;

export function makeRoomRows(journal: Journal, bounds: RoomBounds): RoomRows {
  return {
    keepRoomRow: (room, row, keep) => journal.change((rows) => addRow(rows, room, row, keep, bounds)),
    room: async (query) => journal.read((rows) => readRoom(rows, query)),
    activation: async (sessionKey) => journal.read((rows) => findActivation(rows, sessionKey)),
    setActivation: (sessionKey, activation) => journal.change((rows) => setActivation(rows, sessionKey, activation)),
  };
}
