package otlplog

import (
	"encoding/base64"
	"encoding/binary"
	"strconv"
	"strings"
	"time"
)

// What gRPC is over HTTP/2, as far as a call with one message each way goes: a POST to the method's
// path, each message behind a flag (1: compressed) and its length in four bytes, and the status in
// the trailers (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md). The library would
// add 3.3 MB to the program.
const (
	// ExportPath is the method of the service for logs.
	ExportPath = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
	// GRPCType is the content type.
	GRPCType = "application/grpc"
	// HeadSize is what precedes a message.
	HeadSize = 5

	StatusHeader  = "Grpc-Status"
	MessageHeader = "Grpc-Message"
	DetailsHeader = "Grpc-Status-Details-Bin"
)

// A Code is a status of gRPC.
type Code uint32

// The codes that mean something here.
const (
	OK                 Code = 0
	Canceled           Code = 1
	Unknown            Code = 2
	InvalidArgument    Code = 3
	DeadlineExceeded   Code = 4
	NotFound           Code = 5
	PermissionDenied   Code = 7
	ResourceExhausted  Code = 8
	FailedPrecondition Code = 9
	Aborted            Code = 10
	OutOfRange         Code = 11
	Unimplemented      Code = 12
	Internal           Code = 13
	Unavailable        Code = 14
	DataLoss           Code = 15
	Unauthenticated    Code = 16
)

var codeNames = [...]string{
	"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
	"PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
	"INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
}

// String returns the code's name.
func (c Code) String() string {
	if int(c) < len(codeNames) {
		return codeNames[c]
	}
	return "code " + strconv.FormatUint(uint64(c), 10)
}

// PutHead writes the head of a message of so many bytes.
func PutHead(head []byte, compressed bool, size int) {
	head[0] = 0
	if compressed {
		head[0] = 1
	}
	binary.BigEndian.PutUint32(head[1:], uint32(size))
}

// ReadHead reads the head of a message.
func ReadHead(head []byte) (compressed bool, size uint32) {
	return head[0] == 1, binary.BigEndian.Uint32(head[1:])
}

// A Status is what a server says of a request that it did not take.
type Status struct {
	Code    Code
	Message string
	// RetryDelay is what its RetryInfo asks for; negative without one.
	RetryDelay time.Duration
}

// ReadStatus reads a status out of the values of the three headers.
func ReadStatus(code, message, details string) Status {
	s := Status{Code: Unknown, Message: unpercent(message), RetryDelay: -1}
	if n, err := strconv.ParseUint(code, 10, 32); err == nil {
		s.Code = Code(n)
	}
	p, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(details, "="))
	if err == nil {
		s.RetryDelay = parseStatus(p).RetryDelay
	}
	return s
}

// ParseStatus reads a google.rpc.Status, as OTLP's servers send it over HTTP too. One that is none
// is Unknown.
func ParseStatus(p []byte) Status { return parseStatus(p) }

const (
	tagStatusCode    = 1 << 3
	tagStatusMessage = 2<<3 | 2
	tagStatusDetail  = 3<<3 | 2
	tagAnyType       = 1<<3 | 2
	tagAnyValue      = 2<<3 | 2
	tagRetryDelay    = 1<<3 | 2
	tagSeconds       = 1 << 3
	tagNanos         = 2 << 3

	retryInfoType = "type.googleapis.com/google.rpc.RetryInfo"
)

func parseStatus(p []byte) Status {
	s := Status{Code: Unknown, RetryDelay: -1}
	each(p, func(f wireField) {
		switch f.tag {
		case tagStatusCode:
			s.Code = Code(f.num)
		case tagStatusMessage:
			s.Message = strings.ToValidUTF8(string(f.bytes), "\ufffd")
		case tagStatusDetail:
			if d := retryInfo(f.bytes); d >= 0 {
				s.RetryDelay = d
			}
		}
	})
	return s
}

// each calls f for the fields of a message, as far as it is one, and reports whether all of it is.
func each(p []byte, f func(wireField)) bool {
	for len(p) > 0 {
		w, rest, ok := nextField(p)
		if !ok {
			return false
		}
		f(w)
		p = rest
	}
	return true
}

// maxRetryDelay bounds what a server may ask for.
const maxRetryDelay = 5 * time.Minute

// retryInfo returns the delay of a RetryInfo in a google.protobuf.Any; negative if it is another.
func retryInfo(detail []byte) time.Duration {
	var kind string
	var value []byte
	each(detail, func(f wireField) {
		switch f.tag {
		case tagAnyType:
			kind = string(f.bytes)
		case tagAnyValue:
			value = f.bytes
		}
	})
	if kind != retryInfoType {
		return -1
	}
	delay := time.Duration(0)
	each(value, func(f wireField) {
		if f.tag == tagRetryDelay {
			delay = readDuration(f.bytes)
		}
	})
	return delay
}

func readDuration(p []byte) time.Duration {
	var seconds, nanos int64
	each(p, func(f wireField) {
		switch f.tag {
		case tagSeconds:
			seconds = int64(f.num)
		case tagNanos:
			nanos = int64(f.num)
		}
	})
	if seconds < 0 || nanos < 0 {
		return 0
	}
	if seconds >= int64(maxRetryDelay/time.Second) {
		return maxRetryDelay
	}
	return time.Duration(seconds)*time.Second + time.Duration(min(nanos, 1e9))
}

// AppendStatus appends a google.rpc.Status. Where a delay is not negative, it says when to come
// again.
func AppendStatus(dst []byte, s Status) []byte {
	dst = binary.AppendUvarint(append(dst, tagStatusCode), uint64(s.Code))
	dst = appendString(dst, tagStatusMessage, s.Message)
	if s.RetryDelay < 0 {
		return dst
	}
	dst, detail := openField(dst, tagStatusDetail)
	dst = appendString(dst, tagAnyType, retryInfoType)
	dst, value := openField(dst, tagAnyValue)
	dst, delay := openField(dst, tagRetryDelay)
	dst = binary.AppendUvarint(append(dst, tagSeconds), uint64(s.RetryDelay/time.Second))
	dst = binary.AppendUvarint(append(dst, tagNanos), uint64(s.RetryDelay%time.Second))
	return closeField(closeField(closeField(dst, delay), value), detail)
}

// Headers returns the values of the three headers that ReadStatus reads.
func (s Status) Headers() (code, message, details string) {
	if s.RetryDelay >= 0 {
		details = base64.RawStdEncoding.EncodeToString(AppendStatus(nil, s))
	}
	return strconv.FormatUint(uint64(s.Code), 10), percent(s.Message), details
}

const hexDigits = "0123456789ABCDEF"

// percent writes a status's message as a header may have it.
func percent(s string) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c <= '~' && c != '%' {
			b.WriteByte(c)
			continue
		}
		b.Write([]byte{'%', hexDigits[c>>4], hexDigits[c&15]})
	}
	return b.String()
}

// unpercent reads it; what is no valid %XX stays.
func unpercent(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				b.WriteByte(byte(n))
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return strings.ToValidUTF8(b.String(), "\ufffd")
}

// A PartialSuccess is what a server says of a request that it took, at least in part.
type PartialSuccess struct {
	Rejected int64
	Message  string
}

const (
	tagPartialSuccess = 1<<3 | 2 // of ExportLogsServiceResponse
	tagRejected       = 1 << 3
	tagErrorMessage   = 2<<3 | 2
)

// ParseResponse reads an ExportLogsServiceResponse, and reports whether it is one.
func ParseResponse(p []byte) (partial PartialSuccess, ok bool) {
	inside := true
	ok = each(p, func(f wireField) {
		if f.tag != tagPartialSuccess {
			return
		}
		inside = each(f.bytes, func(f wireField) {
			switch f.tag {
			case tagRejected:
				partial.Rejected = int64(f.num)
			case tagErrorMessage:
				partial.Message = strings.ToValidUTF8(string(f.bytes), "\ufffd")
			}
		})
	})
	return partial, ok && inside
}

// AppendResponse appends an ExportLogsServiceResponse; one of a full success is empty.
func AppendResponse(dst []byte, partial PartialSuccess) []byte {
	if partial == (PartialSuccess{}) {
		return dst
	}
	dst, start := openField(dst, tagPartialSuccess)
	if partial.Rejected != 0 {
		dst = binary.AppendUvarint(append(dst, tagRejected), uint64(partial.Rejected))
	}
	if partial.Message != "" {
		dst = appendString(dst, tagErrorMessage, partial.Message)
	}
	return closeField(dst, start)
}
