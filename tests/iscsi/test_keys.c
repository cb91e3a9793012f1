/* SPDX-License-Identifier: Apache-2.0 */
/* The negotiation of keys: each by its rule, at its edges, where it is legal and where not. */
#include "iscsi/keys.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
/* cmocka.h wants the three above first. */
#include <cmocka.h>

/* Limits that differ from the defaults and from one another. */
static const struct iscsi_limits limits = {
	.values =
		{
			.max_recv_data_segment = 65536,
			.max_burst = 1048576,
			.first_burst = 131072,
			.max_outstanding_r2t = 8,
			.max_connections = 4,
			.time2wait = 5,
			.time2retain = 60,
			.error_recovery_level = 1,
			.protocol_level = 2,
			.initial_r2t = false,
			.immediate_data = true,
			.data_pdu_in_order = true,
			.data_sequence_in_order = false,
		},
	.header_digest = DIGEST_NONE | DIGEST_CRC32C,
	.data_digest = DIGEST_NONE,
};

/* In rows a blank stands for the NUL between pairs. Return: bytes, the last NUL too. */
static size_t text_of(const char *pairs, uint8_t *ret_text, size_t cap)
{
	size_t len = pairs[0] ? strlen(pairs) + 1 : 0;

	assert_true(len <= cap);
	for (size_t i = 0; i < len; i++)
		ret_text[i] = pairs[i] == ' ' ? '\0' : (uint8_t)pairs[i];
	return len;
}

/* Negotiates @pairs. Return: the status; the answer with blanks in ret_answer. */
static enum iscsi_login_status offer(struct iscsi_negotiation *neg, const char *pairs,
				     char *ret_answer, size_t cap)
{
	uint8_t text[2048];
	size_t len = text_of(pairs, text, sizeof(text));
	struct bytes_out out = bytes_out(ret_answer, cap - 1);
	enum iscsi_login_status status = iscsi_negotiate(neg, text, len, &out);

	assert_false(out.full);
	for (size_t i = 0; i < out.len; i++)
		if (ret_answer[i] == '\0')
			ret_answer[i] = ' ';
	ret_answer[out.len > 0 ? out.len - 1 : 0] = '\0';
	return status;
}

struct row {
	const char *sent, *answered;
};

static void play_rows(const struct row *row, enum iscsi_key_stage stage, bool discovery,
		      bool leading)
{
	for (; row->sent; row++) {
		struct iscsi_negotiation neg;
		char answer[2048];

		iscsi_negotiation_init(&neg, &limits, discovery, leading);
		neg.stage = stage;
		assert_int_equal(offer(&neg, row->sent, answer, sizeof(answer)), LOGIN_SUCCESS);
		assert_string_equal(answer, row->answered);
	}
}

static void every_key_by_its_rule(void **state)
{
	static const struct row rows[] = {
		{"HeaderDigest=None", "HeaderDigest=None"},
		{"HeaderDigest=CRC32C", "HeaderDigest=CRC32C"},
		{"HeaderDigest=None,CRC32C", "HeaderDigest=None"},
		{"HeaderDigest=CRC32C,None", "HeaderDigest=CRC32C"},
		{"HeaderDigest=Y-com.example.sum,,CRC32C", "HeaderDigest=CRC32C"},
		{"HeaderDigest=Foo", "HeaderDigest=Reject"},
		{"HeaderDigest=crc32c", "HeaderDigest=Reject"},
		{"HeaderDigest=CRC32", "HeaderDigest=Reject"},
		{"HeaderDigest=CRC32CC", "HeaderDigest=Reject"},
		{"HeaderDigest=", "HeaderDigest=Reject"},
		{"HeaderDigest=,", "HeaderDigest=Reject"},
		{"DataDigest=CRC32C,None", "DataDigest=None"}, /* not allowed by the limits */
		{"DataDigest=CRC32C", "DataDigest=Reject"},

		{"MaxConnections=1", "MaxConnections=1"},
		{"MaxConnections=4", "MaxConnections=4"},
		{"MaxConnections=5", "MaxConnections=4"},
		{"MaxConnections=65535", "MaxConnections=4"},
		{"MaxConnections=65536", "MaxConnections=Reject"},
		{"MaxConnections=0", "MaxConnections=Reject"},
		{"MaxConnections=x", "MaxConnections=Reject"},

		{"InitialR2T=Yes", "InitialR2T=Yes"},
		{"InitialR2T=No", "InitialR2T=No"},
		{"InitialR2T=no", "InitialR2T=Reject"},
		{"InitialR2T=", "InitialR2T=Reject"},
		{"InitialR2T=1", "InitialR2T=Reject"},
		{"ImmediateData=Yes", "ImmediateData=Yes"},
		{"ImmediateData=No", "ImmediateData=No"},
		{"DataPDUInOrder=Yes", "DataPDUInOrder=Yes"},
		{"DataPDUInOrder=No", "DataPDUInOrder=Yes"},
		{"DataSequenceInOrder=Yes", "DataSequenceInOrder=Yes"},
		{"DataSequenceInOrder=No", "DataSequenceInOrder=No"},

		{"MaxBurstLength=511", "MaxBurstLength=Reject"},
		{"MaxBurstLength=512", "MaxBurstLength=512"},
		{"MaxBurstLength=0x10000", "MaxBurstLength=65536"},
		{"MaxBurstLength=1048576", "MaxBurstLength=1048576"},
		{"MaxBurstLength=16777215", "MaxBurstLength=1048576"},
		{"MaxBurstLength=16777216", "MaxBurstLength=Reject"},
		{"MaxBurstLength=4294967808", "MaxBurstLength=Reject"},
		{"FirstBurstLength=511", "FirstBurstLength=Reject"},
		{"FirstBurstLength=512", "FirstBurstLength=512"},
		{"FirstBurstLength=16777215", "FirstBurstLength=131072"},
		{"FirstBurstLength=16777216", "FirstBurstLength=Reject"},
		/* Never above MaxBurstLength, in whatever order they come. */
		{"FirstBurstLength=65536 MaxBurstLength=16384",
		 "MaxBurstLength=16384 FirstBurstLength=16384"},
		{"MaxBurstLength=16384 FirstBurstLength=65536",
		 "MaxBurstLength=16384 FirstBurstLength=16384"},

		{"DefaultTime2Wait=0", "DefaultTime2Wait=5"},
		{"DefaultTime2Wait=5", "DefaultTime2Wait=5"},
		{"DefaultTime2Wait=3600", "DefaultTime2Wait=3600"},
		{"DefaultTime2Wait=3601", "DefaultTime2Wait=Reject"},
		{"DefaultTime2Retain=0", "DefaultTime2Retain=0"},
		{"DefaultTime2Retain=3600", "DefaultTime2Retain=60"},
		{"DefaultTime2Retain=3601", "DefaultTime2Retain=Reject"},
		{"MaxOutstandingR2T=0", "MaxOutstandingR2T=Reject"},
		{"MaxOutstandingR2T=1", "MaxOutstandingR2T=1"},
		{"MaxOutstandingR2T=65535", "MaxOutstandingR2T=8"},
		{"MaxOutstandingR2T=65536", "MaxOutstandingR2T=Reject"},
		{"ErrorRecoveryLevel=0", "ErrorRecoveryLevel=0"},
		{"ErrorRecoveryLevel=2", "ErrorRecoveryLevel=1"},
		{"ErrorRecoveryLevel=3", "ErrorRecoveryLevel=Reject"},

		{"TaskReporting=RFC3720,ResponseFence", "TaskReporting=RFC3720"},
		{"TaskReporting=FastAbort,ResponseFence,RFC3720", "TaskReporting=RFC3720"},
		{"TaskReporting=FastAbort", "TaskReporting=Reject"},
		{"iSCSIProtocolLevel=0", "iSCSIProtocolLevel=0"},
		{"iSCSIProtocolLevel=1", "iSCSIProtocolLevel=1"},
		{"iSCSIProtocolLevel=2", "iSCSIProtocolLevel=2"},
		{"iSCSIProtocolLevel=31", "iSCSIProtocolLevel=2"},
		{"iSCSIProtocolLevel=32", "iSCSIProtocolLevel=Reject"},
		{"IFMarker=No OFMarker=Yes", "IFMarker=No OFMarker=No"},
		{"IFMarker=maybe", "IFMarker=Reject"},
		{"IFMarkInt=2048~8192 OFMarkInt=1", "IFMarkInt=Reject OFMarkInt=Reject"},

		{"Foo=bar", "Foo=NotUnderstood"},
		{"headerdigest=None", "headerdigest=NotUnderstood"},
		{"X-com.example.a=1 X-com.example.b=", /* no row, no answer but this */
		 "X-com.example.a=NotUnderstood X-com.example.b=NotUnderstood"},
		/* What is declared has no answer. */
		{"MaxRecvDataSegmentLength=512", ""},
		{"MaxRecvDataSegmentLength=16777215", ""},
		{"InitiatorAlias=Web InitiatorName=iqn.a TargetName=iqn.b SessionType=Normal", ""},
		{"X#NodeArchitecture=Os/1,Hba/2", ""},
		/* An answer to what we have declared. */
		{"TargetPortalGroupTag=NotUnderstood TargetAlias=Irrelevant", ""},
		{0},
	};

	(void)state;
	play_rows(rows, IN_OPERATIONAL, false, true);
}

static void discovery_makes_keys_irrelevant(void **state)
{
	static const struct row rows[] = {
		{"MaxConnections=1", "MaxConnections=Irrelevant"},
		{"InitialR2T=No", "InitialR2T=Irrelevant"},
		{"ImmediateData=Bad", "ImmediateData=Irrelevant"},
		{"MaxBurstLength=4096", "MaxBurstLength=Irrelevant"},
		{"FirstBurstLength=4096", "FirstBurstLength=Irrelevant"},
		{"MaxOutstandingR2T=1", "MaxOutstandingR2T=Irrelevant"},
		{"DataPDUInOrder=No", "DataPDUInOrder=Irrelevant"},
		{"DataSequenceInOrder=No", "DataSequenceInOrder=Irrelevant"},
		{"TaskReporting=RFC3720", "TaskReporting=Irrelevant"},
		{"iSCSIProtocolLevel=1", "iSCSIProtocolLevel=Irrelevant"},
		{"ErrorRecoveryLevel=2", "ErrorRecoveryLevel=0"},
		{"DefaultTime2Wait=9", "DefaultTime2Wait=9"},
		{"HeaderDigest=CRC32C", "HeaderDigest=CRC32C"},
		{"MaxRecvDataSegmentLength=4096", ""},
		{"Foo=bar", "Foo=NotUnderstood"},
		{0},
	};

	(void)state;
	play_rows(rows, IN_OPERATIONAL, true, true);
}

/* What the leading connection has settled stays. */
static void later_connections_settle_only_their_own(void **state)
{
	static const struct row rows[] = {
		{"MaxBurstLength=4096", "MaxBurstLength=Reject"},
		{"ErrorRecoveryLevel=0", "ErrorRecoveryLevel=Reject"},
		{"DataDigest=None", "DataDigest=None"},
		{"MaxRecvDataSegmentLength=4096 SessionType=Normal", ""},
		{0},
	};

	(void)state;
	play_rows(rows, IN_OPERATIONAL, false, false);
}

static void some_pairs_end_a_login(void **state)
{
	static const struct {
		enum iscsi_key_stage stage;
		const char *sent;
		enum iscsi_login_status status;
	} rows[] = {
		/* legal: what the others are measured against */
		{IN_SECURITY, "AuthMethod=CHAP,None InitiatorName=iqn.a", LOGIN_SUCCESS},
		{IN_SECURITY, "AuthMethod=CHAP", LOGIN_AUTH_FAILED},
		{IN_SECURITY, "AuthMethod=", LOGIN_AUTH_FAILED},
		{IN_SECURITY, "AuthMethod=KRB5,SRP,Nonesuch", LOGIN_AUTH_FAILED},
		{IN_SECURITY, "AuthMethod=None CHAP_A=5", LOGIN_INITIATOR_ERROR},
		/* wrong stage */
		{IN_SECURITY, "HeaderDigest=None", LOGIN_INITIATOR_ERROR},
		{IN_SECURITY, "MaxRecvDataSegmentLength=8192", LOGIN_INITIATOR_ERROR},
		{IN_SECURITY, "MaxBurstLength=8192", LOGIN_INITIATOR_ERROR},
		{IN_OPERATIONAL, "AuthMethod=None", LOGIN_INITIATOR_ERROR},
		{IN_OPERATIONAL, "CHAP_R=0x00", LOGIN_INITIATOR_ERROR},
		{IN_OPERATIONAL, "SendTargets=All", LOGIN_INITIATOR_ERROR},
		/* a target's keys */
		{IN_OPERATIONAL, "TargetAlias=x", LOGIN_INITIATOR_ERROR},
		{IN_OPERATIONAL, "TargetAddress=1.2.3.4", LOGIN_INITIATOR_ERROR},
		{IN_OPERATIONAL, "TargetPortalGroupTag=1", LOGIN_INITIATOR_ERROR},
		/* declared, and wrong */
		{IN_OPERATIONAL, "MaxRecvDataSegmentLength=511", LOGIN_INITIATOR_ERROR},
		{IN_OPERATIONAL, "MaxRecvDataSegmentLength=16777216", LOGIN_INITIATOR_ERROR},
		{IN_OPERATIONAL, "MaxRecvDataSegmentLength=big", LOGIN_INITIATOR_ERROR},
		{IN_OPERATIONAL, "SessionType=Discovery", LOGIN_INITIATOR_ERROR},
		/* twice */
		{IN_OPERATIONAL, "HeaderDigest=None HeaderDigest=None", LOGIN_INITIATOR_ERROR},
		{IN_OPERATIONAL, "FirstBurstLength=512 FirstBurstLength=512",
		 LOGIN_INITIATOR_ERROR},
		{IN_OPERATIONAL, "MaxRecvDataSegmentLength=512 MaxRecvDataSegmentLength=512",
		 LOGIN_INITIATOR_ERROR},
		{IN_OPERATIONAL, "InitiatorName=iqn.a InitiatorName=iqn.a", LOGIN_INITIATOR_ERROR},
		{IN_OPERATIONAL, "X#NodeArchitecture=a X#NodeArchitecture=a",
		 LOGIN_INITIATOR_ERROR},
		/* constants that are answers */
		{IN_OPERATIONAL, "HeaderDigest=Reject", LOGIN_INITIATOR_ERROR},
		{IN_OPERATIONAL, "MaxBurstLength=Irrelevant", LOGIN_INITIATOR_ERROR},
		{IN_OPERATIONAL, "Foo=NotUnderstood", LOGIN_INITIATOR_ERROR},
		/* not text */
		{IN_OPERATIONAL, "HeaderDigest", LOGIN_INITIATOR_ERROR},
		{IN_OPERATIONAL, "DataDigest=None  InitialR2T=No", LOGIN_INITIATOR_ERROR},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct iscsi_negotiation neg;
		char answer[2048];

		iscsi_negotiation_init(&neg, &limits, false, true);
		neg.stage = rows[i].stage;
		assert_int_equal(offer(&neg, rows[i].sent, answer, sizeof(answer)), rows[i].status);
	}
}

/* Names belong to the first text; a key is remembered from text to text and stage to stage. */
static void later_texts_repeat_nothing(void **state)
{
	struct iscsi_negotiation neg;
	char answer[256];

	(void)state;
	iscsi_negotiation_init(&neg, &limits, false, true);
	neg.stage = IN_SECURITY;
	assert_int_equal(offer(&neg, "InitiatorAlias=a", answer, sizeof(answer)), LOGIN_SUCCESS);
	neg.stage = IN_OPERATIONAL;
	assert_int_equal(offer(&neg, "InitiatorAlias=a", answer, sizeof(answer)),
			 LOGIN_INITIATOR_ERROR);
	neg.named = true;
	assert_int_equal(offer(&neg, "SessionType=Normal", answer, sizeof(answer)), LOGIN_SUCCESS);
	assert_int_equal(offer(&neg, "TargetName=iqn.b", answer, sizeof(answer)),
			 LOGIN_INITIATOR_ERROR);
}

static void a_value_has_255_bytes_at_most(void **state)
{
	(void)state;
	for (size_t len = 250; len <= 260; len++) {
		char alias[400] = "InitiatorAlias=", number[400] = "MaxBurstLength=0x";
		char digest[400] = "HeaderDigest=", answer[600];
		struct iscsi_negotiation neg;

		memset(alias + strlen(alias), 'a', len);
		memset(number + strlen(number), '0', len - 5);
		strcat(number, "200");
		memset(digest + strlen(digest), 'a', len);
		strcat(digest, ",CRC32C");
		iscsi_negotiation_init(&neg, &limits, false, true);
		neg.stage = IN_OPERATIONAL;
		assert_int_equal(offer(&neg, alias, answer, sizeof(answer)),
				 len <= 255 ? LOGIN_SUCCESS : LOGIN_INITIATOR_ERROR);
		assert_int_equal(offer(&neg, number, answer, sizeof(answer)), LOGIN_SUCCESS);
		assert_string_equal(answer,
				    len <= 255 ? "MaxBurstLength=512" : "MaxBurstLength=Reject");
		/* A list is not one value. */
		assert_int_equal(offer(&neg, digest, answer, sizeof(answer)), LOGIN_SUCCESS);
		assert_string_equal(answer, "HeaderDigest=CRC32C");
	}
}

static void results_are_kept(void **state)
{
	struct iscsi_negotiation neg;
	const struct iscsi_params *p = &neg.params;
	char answer[1024];

	(void)state;
	iscsi_negotiation_init(&neg, &limits, false, true);
	assert_memory_equal(p, &iscsi_rfc_defaults, sizeof(*p));
	neg.stage = IN_OPERATIONAL;
	assert_int_equal(offer(&neg,
			       "HeaderDigest=CRC32C DataDigest=None MaxConnections=3 "
			       "InitialR2T=No ImmediateData=No MaxRecvDataSegmentLength=4096 "
			       "MaxBurstLength=16777215 FirstBurstLength=70000 "
			       "DefaultTime2Wait=3000 DefaultTime2Retain=50 MaxOutstandingR2T=7 "
			       "DataPDUInOrder=Yes DataSequenceInOrder=No ErrorRecoveryLevel=1",
			       answer, sizeof(answer)),
			 LOGIN_SUCCESS);
	assert_int_equal(iscsi_negotiation_settle(&neg), LOGIN_SUCCESS);
	assert_true(p->header_digest);
	assert_false(p->data_digest);
	assert_int_equal(p->max_connections, 3);
	assert_false(p->initial_r2t);
	assert_false(p->immediate_data);
	assert_int_equal(p->max_send_data_segment, 4096);
	assert_int_equal(p->max_recv_data_segment, 8192); /* the login's to change */
	assert_int_equal(p->max_burst, 1048576);
	assert_int_equal(p->first_burst, 70000);
	assert_int_equal(p->time2wait, 3000);
	assert_int_equal(p->time2retain, 50);
	assert_int_equal(p->max_outstanding_r2t, 7);
	assert_true(p->data_pdu_in_order);
	assert_false(p->data_sequence_in_order);
	assert_int_equal(p->error_recovery_level, 1);
}

/* Reject leaves a key as it is; that must be good enough for the target. */
static void defaults_must_be_acceptable(void **state)
{
	struct iscsi_limits strict = limits;
	struct iscsi_negotiation neg;
	char answer[256];

	(void)state;
	strict.data_digest = DIGEST_CRC32C;
	iscsi_negotiation_init(&neg, &strict, false, true);
	neg.stage = IN_OPERATIONAL;
	assert_int_equal(iscsi_negotiation_settle(&neg), LOGIN_INITIATOR_ERROR);
	assert_int_equal(offer(&neg, "DataDigest=None,CRC32C", answer, sizeof(answer)),
			 LOGIN_SUCCESS);
	assert_string_equal(answer, "DataDigest=CRC32C");
	assert_int_equal(iscsi_negotiation_settle(&neg), LOGIN_SUCCESS);

	strict.header_digest = DIGEST_CRC32C;
	iscsi_negotiation_init(&neg, &strict, false, true);
	neg.stage = IN_OPERATIONAL;
	assert_int_equal(offer(&neg, "DataDigest=CRC32C HeaderDigest=None", answer, sizeof(answer)),
			 LOGIN_SUCCESS);
	assert_string_equal(answer, "DataDigest=CRC32C HeaderDigest=Reject");
	assert_int_equal(iscsi_negotiation_settle(&neg), LOGIN_INITIATOR_ERROR);
}

static void a_small_max_burst_caps_the_first(void **state)
{
	struct iscsi_negotiation neg;
	char answer[256];

	(void)state;
	iscsi_negotiation_init(&neg, &limits, false, true);
	neg.stage = IN_OPERATIONAL;
	assert_int_equal(offer(&neg, "MaxBurstLength=4096", answer, sizeof(answer)), LOGIN_SUCCESS);
	assert_int_equal(iscsi_negotiation_settle(&neg), LOGIN_SUCCESS);
	assert_int_equal(neg.params.first_burst, 4096);
}

static void full_feature_phase(void **state)
{
	static const struct {
		const char *sent;
		int r;
		const char *answered;
		uint32_t max_send; /* 0: as before */
	} rows[] = {
		{"MaxRecvDataSegmentLength=4096", 0, "", 4096},
		{"MaxRecvDataSegmentLength=511", 0, "MaxRecvDataSegmentLength=Reject", 0},
		{"MaxRecvDataSegmentLength=16777216", 0, "MaxRecvDataSegmentLength=Reject", 0},
		{"InitiatorAlias=other", 0, "", 0},
		{"SendTargets=All MaxRecvDataSegmentLength=1024", 0, "", 1024},
		{"MaxBurstLength=512", 0, "MaxBurstLength=Reject", 0},
		{"HeaderDigest=CRC32C", 0, "HeaderDigest=Reject", 0},
		{"InitiatorName=iqn.evil", 0, "InitiatorName=Reject", 0},
		{"SessionType=Discovery", 0, "SessionType=Reject", 0},
		{"AuthMethod=None CHAP_A=5", 0, "AuthMethod=Reject CHAP_A=Reject", 0},
		{"TargetAlias=mine", 0, "TargetAlias=Reject", 0},
		{"FirstBurstLength=512", 0, "FirstBurstLength=Reject", 0},
		{"IFMarker=No IFMarkInt=1", 0, "IFMarker=Reject IFMarkInt=Reject", 0},
		{"X-a=b Foo=", 0, "X-a=NotUnderstood Foo=NotUnderstood", 0},
		/* All of it or nothing. */
		{"MaxRecvDataSegmentLength=4096 MaxRecvDataSegmentLength=512", -EPROTO, NULL, 0},
		{"MaxRecvDataSegmentLength=4096 Bad", -EPROTO, NULL, 0},
		{"MaxRecvDataSegmentLength=4096 Foo=Reject", -EPROTO, NULL, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct iscsi_params params = iscsi_rfc_defaults, before = params;
		uint8_t text[256];
		char answer[256] = "";
		struct bytes_out out = bytes_out(answer, sizeof(answer) - 1);
		size_t len = text_of(rows[i].sent, text, sizeof(text));

		assert_int_equal(iscsi_negotiate_full_feature(&params, text, len, &out), rows[i].r);
		if (rows[i].max_send)
			before.max_send_data_segment = rows[i].max_send;
		assert_memory_equal(&params, &before, sizeof(params));
		if (rows[i].r < 0)
			continue;
		for (size_t j = 0; j + 1 < out.len; j++)
			answer[j] = answer[j] ? answer[j] : ' ';
		assert_string_equal(answer, rows[i].answered);
	}
}

/* No answer is longer than the room that is reckoned for it. */
static void an_answer_fits_its_room(void **state)
{
	char pair[80], answer[128];
	struct iscsi_negotiation neg;

	(void)state;
	for (int len = 1; len <= ISCSI_KEY_MAX; len++) {
		struct bytes_out out = bytes_out(answer, (size_t)len + ISCSI_ANSWER_EXTRA);

		memset(pair, 'K', (size_t)len);
		memcpy(pair + len, "=", 2);
		iscsi_negotiation_init(&neg, &limits, false, true);
		neg.stage = IN_OPERATIONAL;
		assert_int_equal(iscsi_negotiate(&neg, (uint8_t *)pair, (size_t)len + 2, &out),
				 LOGIN_SUCCESS);
		assert_false(out.full);
		assert_int_equal(out.len, len + ISCSI_ANSWER_EXTRA);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_key_by_its_rule),
		cmocka_unit_test(discovery_makes_keys_irrelevant),
		cmocka_unit_test(later_connections_settle_only_their_own),
		cmocka_unit_test(some_pairs_end_a_login),
		cmocka_unit_test(later_texts_repeat_nothing),
		cmocka_unit_test(a_value_has_255_bytes_at_most),
		cmocka_unit_test(results_are_kept),
		cmocka_unit_test(defaults_must_be_acceptable),
		cmocka_unit_test(a_small_max_burst_caps_the_first),
		cmocka_unit_test(full_feature_phase),
		cmocka_unit_test(an_answer_fits_its_room),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
