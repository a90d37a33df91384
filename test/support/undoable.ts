/** Changes of a map that give what undoes them: the parts of a transaction that a crash may take. */

export type Undo = () => void;

export function put<K, V>(map: Map<K, V>, key: K, value: V): Undo {
  const before = map.get(key);
  map.set(key, value);
  return () => void (before === undefined ? map.delete(key) : map.set(key, before));
}

export function remove<K, V>(map: Map<K, V>, key: K): Undo {
  const before = map.get(key);
  map.delete(key);
  return () => void (before === undefined || map.set(key, before));
}
