package pipeline

// Labels by which the owner of a source chooses how it is taken, such as a container by labels of
// its own. An input passes them to Feed.Open beside the others; they are not put on records.
const (
	OptionParser    = "longshore.parser"    // a parser of the config, or a type of parser that needs no settings
	OptionMultiline = "longshore.multiline" // false, auto, or a regular expression of lines that begin a record
	OptionLevel     = "longshore.level"     // the lowest level taken
	OptionPipeline  = "longshore.pipeline"  // pipelines of the config, with commas between
)

// OptionWrapped is set by an input alone: the type of parser that takes off what wraps each line of
// the source, before the one that OptionParser names. That type has a setting inner: false.
const OptionWrapped = "longshore.wrapped"

// SourceOptions are the labels that the owner of a source may set.
var SourceOptions = [...]string{OptionParser, OptionMultiline, OptionLevel, OptionPipeline}
