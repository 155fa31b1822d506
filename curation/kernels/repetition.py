"""How much of a document repeats itself: its most frequent n-gram, and all of its duplicated n-grams.

Both count characters as datatrove's find_top_duplicate and find_all_duplicate do.
"""

from numba import uint64

from curation.kernels import at, kernel
from curation.kernels.characters import Hashes, Values
from curation.kernels.hashing import BASE, INVERSE, Table, Words, clear, find, insert, mix


@kernel()
def keep_word_ends(words: Words, n_words: int) -> None:
    """Turns sums and powers, in place, to words instead of characters: their hashes then tell "a bc" from "ab c"."""
    sums, powers = words.sums, words.powers
    total, power, inverse, before = uint64(0), uint64(1), uint64(1), sums[0]
    for i in range(n_words):
        after = sums[at(i + 1)]
        word = mix((after - before) * powers[at(i)])
        sums[at(i)], powers[at(i)] = total, power
        total += word * inverse
        inverse *= INVERSE
        power *= BASE
        before = after
    sums[at(n_words)] = total


@kernel()
def find_repeats(sums: Hashes, powers: Hashes, n: int, n_grams: int, table: Table) -> int:
    """Fills table.grams with the hashes of all n-grams, and table.repeats with those that may occur more than once.

    Returns how many may. A byte of marks takes in many n-grams without a branch, and few then need the hash table.
    """
    grams, repeats, marks = table.grams, table.repeats, table.marks
    bits = 4
    while (1 << bits) < 8 * n_grams:
        bits += 1
    marks[: 1 << bits] = 0
    shift = uint64(64 - bits)
    for i in range(n_grams):
        grams[at(i)] = (sums[at(i + n)] - sums[at(i)]) * powers[at(i)]
        place = (grams[at(i)] * BASE) >> shift
        marks[place] = marks[place] << 1 | 1  # 1, 3, 7, ..., 255, 255
    n_repeats = 0
    for i in range(n_grams):
        repeats[at(n_repeats)] = i
        n_repeats += marks[(grams[at(i)] * BASE) >> shift] > 1
    return n_repeats


@kernel()
def top_n_gram_chars(words: Words, n_words: int, n: int, table: Table) -> int:
    """Characters in all occurrences of the most frequent n-gram (the earliest of those that tie), spaces included.

    For hashes that keep_word_ends has made.
    """
    n_grams = n_words - n + 1
    if n_grams < 1:
        return 0
    n_repeats = find_repeats(words.sums, words.powers, n, n_grams, table)
    keys, counts, firsts, char_end = table.keys, table.counts, table.firsts, words.char_end
    shift = clear(keys, n_repeats)
    best_count, best_first = 1, 0
    for k in range(n_repeats):
        i = table.repeats[at(k)]
        key = max(table.grams[at(i)], uint64(1))
        slot = find(keys, shift, key)
        if keys[slot] == uint64(0):
            keys[slot], counts[slot], firsts[slot] = key, 0, i
        counts[slot] += 1
        if counts[slot] > best_count or (counts[slot] == best_count and firsts[slot] < best_first):
            best_count, best_first = int(counts[slot]), int(firsts[slot])
    return best_count * int(char_end[at(best_first + n)] - char_end[at(best_first)] + n - 1)


@kernel()
def duplicated_chars(words: Words, n_words: int, n: int, table: Table) -> int:
    """Characters in n-grams that occurred before; a counted n-gram is stepped over whole.

    Words are joined without spaces, as datatrove joins them, so "a bc" and "ab c" are the same.
    """
    n_grams = max(n_words - n + 1, 0)
    n_repeats = find_repeats(words.sums, words.powers, n, n_grams, table)
    shift = clear(table.keys, n_repeats)
    n_chars, next_gram = 0, 0
    for k in range(n_repeats):
        i = table.repeats[at(k)]
        if i >= next_gram and insert(table.keys, shift, table.grams[at(i)]):
            n_chars += int(words.char_end[at(i + n)] - words.char_end[at(i)])
            next_gram = i + n
    return n_chars


@kernel()
def measure_repetition(words: Words, n_words: int, n_chars: int, table: Table, fracs: Values) -> None:
    """Writes 9 shares of n_chars into fracs: the top 2- to 4-grams, then the duplicated 5- to 10-grams."""
    for n in range(5, 11):
        fracs[n - 2] = duplicated_chars(words, n_words, n, table) / n_chars
    keep_word_ends(words, n_words)
    for n in range(2, 5):
        fracs[n - 2] = top_n_gram_chars(words, n_words, n, table) / n_chars
