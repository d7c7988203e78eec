/*
 * A PKCS#11 module that forwards every call to another module, and shows faults that no real token shows on command: it
 * answers with any CK_RV, is slow, hangs or crashes.
 *
 * These macros are set at compilation, so that several modules may be used at the same time:
 *
 *   FAULT_TARGET   the module that receives the calls
 *   FAULT_SCRIPT   a file of lines "FUNCTION ACTION ARGUMENT", read again at every call
 *   FAULT_LOG      a file with a line for each logged call, and for each C_Login. A logged C_Initialize adds its string:
 *                  "C_Initialize=STRING"
 *
 * FUNCTION "*" means any function. "FUNCTION@LABEL" means a call that uses the key with this CKA_LABEL. The actions:
 *
 *   rv             answers with the argument
 *   delay          waits this many milliseconds first
 *   hang           never returns
 *   crash          is a SIGSEGV
 *   leak           allocates this many bytes and never frees them
 *   log            writes the call to FAULT_LOG
 *   rv-if-public   is "rv" if the template of C_CreateObject or C_UnwrapKey has CKA_PRIVATE false
 *   without        answers that there is no such attribute, if the template of C_GetAttributeValue or C_GenerateKeyPair
 *                  has this one
 *   fails-with     is the same with CKR_GENERAL_ERROR
 *   instead        answers with the argument where the token answers with an error
 *   nul-padded, sessions, flags, serial
 *                  change the result of C_GetTokenInfo
 *   unended        is "rv" of a C_Decrypt that leaves its operation active until C_DecryptFinal
 *
 * A fourth word limits a line to the process's calls from that number on, counted from 1. A fifth word is the last such
 * call. "once" in place of both affects one call of all processes.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define FUNCTIONS 68
#define GET_ATTRIBUTE_VALUE 24

/* Every argument of every function of version 2.40 fits a register, and a callee ignores surplus arguments. */
typedef unsigned long word;
typedef word (*function)(word, word, word, word, word, word, word, word);

struct list {
  unsigned char version[2];
  function functions[FUNCTIONS];
};

static const char *names[FUNCTIONS] = {
    "C_Initialize", "C_Finalize", "C_GetInfo", "C_GetFunctionList", "C_GetSlotList", "C_GetSlotInfo", "C_GetTokenInfo",
    "C_GetMechanismList", "C_GetMechanismInfo", "C_InitToken", "C_InitPIN", "C_SetPIN", "C_OpenSession",
    "C_CloseSession", "C_CloseAllSessions", "C_GetSessionInfo", "C_GetOperationState", "C_SetOperationState", "C_Login",
    "C_Logout", "C_CreateObject", "C_CopyObject", "C_DestroyObject", "C_GetObjectSize", "C_GetAttributeValue",
    "C_SetAttributeValue", "C_FindObjectsInit", "C_FindObjects", "C_FindObjectsFinal", "C_EncryptInit", "C_Encrypt",
    "C_EncryptUpdate", "C_EncryptFinal", "C_DecryptInit", "C_Decrypt", "C_DecryptUpdate", "C_DecryptFinal",
    "C_DigestInit", "C_Digest", "C_DigestUpdate", "C_DigestKey", "C_DigestFinal", "C_SignInit", "C_Sign", "C_SignUpdate",
    "C_SignFinal", "C_SignRecoverInit", "C_SignRecover", "C_VerifyInit", "C_Verify", "C_VerifyUpdate", "C_VerifyFinal",
    "C_VerifyRecoverInit", "C_VerifyRecover", "C_DigestEncryptUpdate", "C_DecryptDigestUpdate", "C_SignEncryptUpdate",
    "C_DecryptVerifyUpdate", "C_GenerateKey", "C_GenerateKeyPair", "C_WrapKey", "C_UnwrapKey", "C_DeriveKey",
    "C_SeedRandom", "C_GenerateRandom", "C_GetFunctionStatus", "C_CancelFunction", "C_WaitForSlotEvent"};

static struct list *real;
static struct list ours;
static unsigned long calls[FUNCTIONS];
/* The changes to C_GetTokenInfo by the script. */
static int padding;
static word sessions;
static word more_flags;
static word serial;
/* The answer in place of an error. */
static word instead;
/* The answer of C_Decrypt, and whether it left an operation active. */
static word unended;
static int active;
/* Keeps the compiler from removing an unused allocation. */
static char *volatile leaks;

static void sleep_ms(long ms) {
  struct timespec time = {ms / 1000, (ms % 1000) * 1000000L};
  nanosleep(&time, NULL);
}

/* Several processes may match the same line. The first to create the marker owns it. */
static int first_of_all(const char *line) {
  char marker[4096];
  unsigned long hash = 5381;
  for (const char *at = line; *at; at++) hash = hash * 33 + (unsigned char)*at;
  snprintf(marker, sizeof marker, "%s.%lx", FAULT_SCRIPT, hash);
  int file = open(marker, O_CREAT | O_EXCL | O_WRONLY, 0600);
  if (file < 0) return 0;
  close(file);
  return 1;
}

struct attribute {
  word type;
  unsigned char *value;
  word length;
};

/* Whether a template has CKA_PRIVATE false. */
static int is_public(word template, word count) {
  const struct attribute *attributes = (const struct attribute *)template;
  for (word at = 0; at < count; at++)
    if (attributes[at].type == 2) return attributes[at].length == 1 && attributes[at].value[0] == 0;
  return 0;
}

static int has_type(word template, word count, word type) {
  const struct attribute *attributes = (const struct attribute *)template;
  for (word at = 0; at < count; at++)
    if (attributes[at].type == type) return 1;
  return 0;
}

/* The members of CK_TOKEN_INFO that are changed here. */
struct token_info {
  char names[96];
  word flags;
  word max_sessions;
};

/* The keys of the latest encryption and decryption. */
static word encrypting, decrypting;

static int starts_with(const char *text, const char *start) { return strncmp(text, start, strlen(start)) == 0; }

/* The handle of the key that a call uses, or 0. */
static word key_of(int index, const word *arguments) {
  const char *name = names[index];
  if (strcmp(name, "C_WrapKey") == 0 || strcmp(name, "C_UnwrapKey") == 0) return arguments[2];
  if (strcmp(name, "C_GetAttributeValue") == 0) return arguments[1];
  return starts_with(name, "C_Encrypt") ? encrypting : starts_with(name, "C_Decrypt") ? decrypting : 0;
}

static void remember_key(int index, const word *arguments) {
  if (strcmp(names[index], "C_EncryptInit") == 0) encrypting = arguments[2];
  if (strcmp(names[index], "C_DecryptInit") == 0) decrypting = arguments[2];
}

static int has_label(word session, word key, const char *label) {
  unsigned char text[64];
  struct attribute attribute = {3, text, sizeof text};
  if (key == 0) return 0;
  if (real->functions[GET_ATTRIBUTE_VALUE](session, key, (word)&attribute, 1, 0, 0, 0, 0) != 0) return 0;
  return attribute.length == strlen(label) && memcmp(text, label, attribute.length) == 0;
}

static const int name_ends[] = {32, 64, 80, 96};

static void nul_pad(struct token_info *info) {
  for (int name = 0; name < 4; name++)
    for (int at = name_ends[name] - 1; at > 0 && info->names[at] == ' '; at--) info->names[at] = 0;
}

static void number(struct token_info *info) {
  char digits[17];
  snprintf(digits, sizeof digits, "%016lx", serial);
  memcpy(info->names + 80, digits, 16);
}

static int applies(const char *line, int index, const word *arguments, char action[16], word *argument) {
  char name[80], from[16] = "1", to[16] = "4294967295";
  char argument_text[32] = "0";
  if (sscanf(line, "%79s %15s %31s %15s %15s", name, action, argument_text, from, to) < 2) return 0;
  char *label = strchr(name, '@');
  if (label) *label++ = 0;
  if (strcmp(name, "*") != 0 && strcmp(name, names[index]) != 0) return 0;
  if (label && !has_label(arguments[0], key_of(index, arguments), label)) return 0;
  *argument = strtoul(argument_text, NULL, 0);
  if (strcmp(from, "once") == 0) return first_of_all(line);
  return calls[index] >= strtoul(from, NULL, 10) && calls[index] <= strtoul(to, NULL, 10);
}

/* CK_C_INITIALIZE_ARGS. NSS reads its parameters from the last member. */
struct initialize_arguments {
  void *mutexes[4];
  word flags;
  const char *reserved;
};

static void log_call(int index, word first) {
  int file = open(FAULT_LOG, O_CREAT | O_APPEND | O_WRONLY, 0600);
  if (file < 0) return;
  const struct initialize_arguments *arguments = index == 0 ? (const struct initialize_arguments *)first : NULL;
  if (arguments && arguments->reserved) dprintf(file, "%s=%s\n", names[index], arguments->reserved);
  else dprintf(file, "%s\n", names[index]);
  close(file);
}

/* 1 if the call must return *rv instead of being forwarded. */
static int fault(int index, const word *arguments, int public, word *rv) {
  FILE *file = fopen(FAULT_SCRIPT, "r");
  char line[256], action[16];
  int answered = 0;
  word argument;
  calls[index]++;
  while (file && !answered && fgets(line, sizeof line, file)) {
    if (!applies(line, index, arguments, action, &argument)) continue;
    if (strcmp(action, "delay") == 0) sleep_ms((long)argument);
    if (strcmp(action, "hang") == 0)
      for (;;) sleep_ms(1000);
    if (strcmp(action, "crash") == 0) raise(SIGSEGV);
    if (strcmp(action, "leak") == 0) {
      char *leaked = malloc(argument);
      if (leaked) memset(leaked, 1, argument);
      leaks = leaked;
    }
    if (strcmp(action, "log") == 0) log_call(index, arguments[0]);
    if (strcmp(action, "rv") == 0 || (public && strcmp(action, "rv-if-public") == 0)) {
      *rv = argument;
      answered = 1;
    }
    if (strcmp(action, "without") == 0 && has_type(arguments[2], arguments[3], argument)) {
      *rv = 0x12;
      answered = 1;
    }
    if (strcmp(action, "fails-with") == 0 && has_type(arguments[2], arguments[3], argument)) {
      *rv = 5;
      answered = 1;
    }
    if (strcmp(action, "nul-padded") == 0) padding = 1;
    if (strcmp(action, "sessions") == 0) sessions = argument;
    if (strcmp(action, "flags") == 0) more_flags = argument;
    if (strcmp(action, "serial") == 0) serial = argument;
    if (strcmp(action, "instead") == 0) instead = argument;
    if (strcmp(action, "unended") == 0) unended = argument;
  }
  if (file) fclose(file);
  return answered;
}

static word forward(int index, word a, word b, word c, word d, word e, word f, word g, word h) {
  word rv;
  if (strcmp(names[index], "C_Login") == 0) log_call(index, a);
  int public = strcmp(names[index], "C_CreateObject") == 0 ? is_public(b, c)
               : strcmp(names[index], "C_UnwrapKey") == 0  ? is_public(f, g)
                                                           : 0;
  const word arguments[] = {a, b, c, d};
  padding = 0;
  sessions = 0;
  more_flags = 0;
  serial = 0;
  instead = 0;
  unended = 0;
  remember_key(index, arguments);
  if (fault(index, arguments, public, &rv)) {
    /* These functions end the operation, whatever they return. */
    if (strcmp(names[index], "C_Decrypt") == 0 || strcmp(names[index], "C_Encrypt") == 0)
      real->functions[index](a, b, c, d, e, f, g, h);
    return rv;
  }
  if (active && strcmp(names[index], "C_DecryptFinal") == 0) {
    active = 0;
    *(word *)c = 0;
    return 0;
  }
  if (active && strcmp(names[index], "C_DecryptInit") == 0) return 0x90;
  rv = real->functions[index](a, b, c, d, e, f, g, h);
  if (unended) {
    active = 1;
    return unended;
  }
  if (rv != 0 && instead) return instead;
  if (rv == 0 && padding) nul_pad((struct token_info *)b);
  if (rv == 0 && sessions) ((struct token_info *)b)->max_sessions = sessions;
  if (rv == 0 && more_flags) ((struct token_info *)b)->flags |= more_flags;
  if (rv == 0 && serial) number((struct token_info *)b);
  return rv;
}

#define F(n) \
  static word f##n(word a, word b, word c, word d, word e, word f, word g, word h) { return forward(n, a, b, c, d, e, f, g, h); }
F(0) F(1) F(2) F(3) F(4) F(5) F(6) F(7) F(8) F(9) F(10) F(11) F(12) F(13) F(14) F(15) F(16) F(17) F(18) F(19) F(20) F(21)
F(22) F(23) F(24) F(25) F(26) F(27) F(28) F(29) F(30) F(31) F(32) F(33) F(34) F(35) F(36) F(37) F(38) F(39) F(40) F(41)
F(42) F(43) F(44) F(45) F(46) F(47) F(48) F(49) F(50) F(51) F(52) F(53) F(54) F(55) F(56) F(57) F(58) F(59) F(60) F(61)
F(62) F(63) F(64) F(65) F(66) F(67)

static const function all[FUNCTIONS] = {
    f0,  f1,  f2,  f3,  f4,  f5,  f6,  f7,  f8,  f9,  f10, f11, f12, f13, f14, f15, f16, f17, f18, f19, f20, f21, f22,
    f23, f24, f25, f26, f27, f28, f29, f30, f31, f32, f33, f34, f35, f36, f37, f38, f39, f40, f41, f42, f43, f44, f45,
    f46, f47, f48, f49, f50, f51, f52, f53, f54, f55, f56, f57, f58, f59, f60, f61, f62, f63, f64, f65, f66, f67};

word C_GetFunctionList(struct list **answer) {
  if (!real) {
    void *module = dlopen(FAULT_TARGET, RTLD_NOW | RTLD_LOCAL);
    word (*get)(struct list **) = module ? (word(*)(struct list **))dlsym(module, "C_GetFunctionList") : NULL;
    if (!get || get(&real) != 0) return 5;
    memcpy(ours.version, real->version, sizeof ours.version);
    memcpy(ours.functions, all, sizeof all);
  }
  *answer = &ours;
  return 0;
}
