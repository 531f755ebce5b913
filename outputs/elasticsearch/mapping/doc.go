// Package mapping keeps documents within what an empty index of Elasticsearch or OpenSearch takes.
// Such an index makes its mapping of the first document, by rules that a document can break all by
// itself: a text beside an object of its name, an array of numbers and words, a number that no type
// holds. Without help these records are rejected for good, and a replay heals none of them.
//
// What a document has is renamed, flattened or written as text, by its own content alone, so that a
// repeat is the same:
//
//   - A name of the server's own at the top gets _original behind it (_id), and so does a value
//     beside an object of its name (error beside error.message). A name that is empty, or has an
//     empty part between dots, has underscores for its dots; of equal names the second gets _2.
//   - data_stream gets _original behind it where it names another one than the index is.
//   - Values of one field that are of several kinds are written as text: numbers and booleans as
//     they are, objects as their JSON, dates (which dynamic mapping would see again) in quotes.
//     Integers beside fractions get a fraction.
//   - A number that no type holds, objects and arrays that are nested too deep, and what begins
//     like a date and is none (2026-13) are written as text, the last in quotes.
//   - Of more fields than an index takes, the last of each object become one text of JSON, named
//     other_fields.
//
// Most records need none of this and are told apart by a look at their fields. The rules of
// dynamic mapping were read off real servers; e2e compares the two with documents made at random.
package mapping

// Bounds of what is mapped. An index takes, by default, objects up to 20 deep and 1000 fields, of
// which a text is two and templates may have some (index.mapping.depth.limit,
// index.mapping.total_fields.limit). OpenSearch bounds arrays within arrays as well.
const (
	maxParts  = 19 // of a field's path
	maxArrays = 18 // around a value
	maxFields = 900
	// maxName bounds one name, in bytes. Paths stay below the 32,766 bytes of a Lucene term.
	maxName = 1024
	// maxPaths bounds the memory: a document with more fields has the rest as text anyway.
	maxPaths = 4096
)

// otherFields is the field that has what an index has no more room for.
const otherFields = "other_fields"
