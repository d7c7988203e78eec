import type { Mutation } from './mutation.ts'
import { bodyMutations, encodingMutations, replyMutations, urlMutations } from './requests.ts'
import { clientMutations, httpMutations, tlsMutations } from './transport.ts'
import { algorithmMutations, disabledMutations, keyWrapMutations, oaepMutations } from './wrapping.ts'

/** Every wrong proxy, in two halves of about equal duration, for two test files. */
export const mutations: Readonly<Record<'protocol' | 'cryptography', readonly Mutation[]>> = {
  protocol: [...tlsMutations, ...clientMutations, ...httpMutations, ...urlMutations, ...bodyMutations],
  cryptography: [
    ...replyMutations,
    ...encodingMutations,
    ...algorithmMutations,
    ...keyWrapMutations,
    ...oaepMutations,
    ...disabledMutations,
  ],
}
