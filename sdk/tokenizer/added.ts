/** A token that stands outside the tokenizer's own vocabulary rules: control tokens, tags, reserved words. */
export interface AddedToken {
  id: number;
  content: string;
  /** A control token; the others are tags that may be part of a reply's text. */
  special: boolean;
  /** Takes the whitespace before or after it along. */
  lstrip: boolean;
  rstrip: boolean;
  /** Not found inside a word. */
  single_word: boolean;
  /** Looked for after the others. */
  normalized: boolean;
}

/** A part of a text: an added token, or plain text between them (`token` null). Characters [start, end). */
export interface Piece {
  start: number;
  end: number;
  token: AddedToken | null;
}

interface Node {
  next: Map<string, Node>;
  token: AddedToken | null;
}

/** The added tokens of a tokenizer, and where they stand in a text: leftmost first, longest first. */
export class AddedTokens {
  readonly list: readonly AddedToken[];
  readonly by_text = new Map<string, AddedToken>();
  readonly by_id = new Map<number, AddedToken>();
  readonly #tries: Node[];

  constructor(list: readonly AddedToken[]) {
    this.list = list;
    for (const token of list) {
      this.by_text.set(token.content, token);
      this.by_id.set(token.id, token);
    }
    const passes = [list.filter((token) => !token.normalized), list.filter((token) => token.normalized)];
    this.#tries = passes.filter((tokens) => tokens.length > 0).map(buildTrie);
  }

  /** Whether any added token's text stands in `text`. */
  occursIn(text: string): boolean {
    return this.split(text).some((piece) => piece.token !== null);
  }

  /**
   * Cuts a text at its added tokens.
   *
   * @param is_plain by character: 1 where no token may be found, whatever stands there
   */
  split(text: string, is_plain?: Uint8Array): Piece[] {
    let pieces: Piece[] = [{ start: 0, end: text.length, token: null }];
    for (const trie of this.#tries) {
      pieces = pieces.flatMap((piece) => (piece.token === null ? cut(text, piece, trie, is_plain) : [piece]));
    }
    return pieces.filter((piece) => piece.end > piece.start);
  }
}

function buildTrie(tokens: readonly AddedToken[]): Node {
  const root: Node = { next: new Map(), token: null };
  for (const token of tokens) {
    let node = root;
    for (let i = 0; i < token.content.length; i++) {
      const char = token.content[i]!;
      const next: Node = node.next.get(char) ?? { next: new Map(), token: null };
      node.next.set(char, next);
      node = next;
    }
    node.token = token;
  }
  return root;
}

/** Cuts one stretch of plain text. */
function cut(text: string, { start, end }: Piece, trie: Node, is_plain: Uint8Array | undefined): Piece[] {
  const pieces: Piece[] = [];
  let plain_from = start;
  for (let i = start; i < end; ) {
    const token = longestAt(text, i, end, trie, is_plain);
    if (token === null) {
      i++;
      continue;
    }
    let from = i;
    let to = i + token.content.length;
    i = to;
    if (token.single_word && (isWordChar(text[from - 1]) || isWordChar(text[to]))) continue;
    if (token.lstrip) while (from > plain_from && isSpace(text[from - 1])) from--;
    if (token.rstrip) while (to < end && isSpace(text[to])) to++;
    pieces.push({ start: plain_from, end: from, token: null }, { start: from, end: to, token });
    plain_from = i = to;
  }
  pieces.push({ start: plain_from, end, token: null });
  return pieces;
}

function longestAt(
  text: string,
  at: number,
  end: number,
  trie: Node,
  is_plain: Uint8Array | undefined,
): AddedToken | null {
  let longest: AddedToken | null = null;
  let node: Node | undefined = trie;
  for (let i = at; i < end && is_plain?.[i] !== 1; i++) {
    node = node.next.get(text[i]!);
    if (node === undefined) break;
    longest = node.token ?? longest;
  }
  return longest;
}

function isWordChar(char: string | undefined): boolean {
  return char !== undefined && /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}]/u.test(char);
}

/** Unicode's White_Space, which is not quite JavaScript's `\s`. */
const SPACE = /[\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]/;

function isSpace(char: string | undefined): boolean {
  return char !== undefined && SPACE.test(char);
}
