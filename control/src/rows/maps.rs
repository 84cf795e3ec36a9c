//! Which field of the state each table holds, and what puts a row there: told once, for all that goes over the rows.

/// Calls `$with!(Table, field, Key, put, remove)` for each table that is a map, in the order of the tables.
macro_rules! for_each_map {
    ($with:ident) => {
        $with!(Masters, masters, MasterId, put_master, remove_master);
        $with!(
            JoinTokens,
            join_tokens,
            SecretHash,
            put_join_token,
            remove_join_token
        );
        $with!(Workers, workers, WorkerId, put_worker, remove_worker);
        $with!(Users, users, UserId, put_user, remove_user);
        $with!(Sessions, sessions, SecretHash, put_session, remove_session);
        $with!(Images, images, Digest, put_image, remove_image);
        $with!(
            ImageNames,
            image_names,
            Name,
            put_image_name,
            remove_image_name
        );
        $with!(Networks, networks, NetworkId, put_network, remove_network);
        $with!(
            Vclusters,
            vclusters,
            VclusterId,
            put_vcluster,
            remove_vcluster
        );
        $with!(Vnodes, vnodes, VnodeId, put_vnode, remove_vnode);
        $with!(Receipts, receipts, LogIndex, put_receipt, remove_receipt);
        $with!(
            Replacements,
            replacements,
            MasterId,
            put_replacement,
            remove_replacement
        );
        $with!(Drills, drills, DrillId, put_drill, remove_drill);
        $with!(Programs, programs, MasterId, put_program, remove_program);
        $with!(Ports, ports, PublicPort, put_port, remove_port);
        $with!(
            ImageTitles,
            image_titles,
            (UserId, Name),
            put_image_title,
            remove_image_title
        );
        $with!(
            ImageRuns,
            image_runs,
            Digest,
            put_image_run,
            remove_image_run
        );
        $with!(
            ImageCopies,
            image_copies,
            Digest,
            put_image_copies,
            remove_image_copies
        );
        $with!(
            ImageSaves,
            image_saves,
            VnodeId,
            put_image_save,
            remove_image_save
        );
        $with!(
            VclusterWishes,
            vcluster_wishes,
            VclusterId,
            put_vcluster_wishes,
            remove_vcluster_wishes
        );
        $with!(
            VnodeWishes,
            vnode_wishes,
            VnodeId,
            put_vnode_wishes,
            remove_vnode_wishes
        );
        $with!(
            Snapshots,
            snapshots,
            (VnodeId, LogIndex),
            put_snapshot,
            remove_snapshot
        );
        $with!(
            SnapshotRestores,
            snapshot_restores,
            VnodeId,
            put_snapshot_restore,
            remove_snapshot_restore
        );
        $with!(
            SnapshotSchedules,
            snapshot_schedules,
            VclusterId,
            put_snapshot_schedule,
            remove_snapshot_schedule
        );
        $with!(
            SnapshotSaves,
            snapshot_saves,
            VnodeId,
            put_snapshot_save,
            remove_snapshot_save
        );
        $with!(
            SnapshotCopies,
            snapshot_copies,
            VnodeId,
            put_snapshot_copy,
            remove_snapshot_copy
        );
        $with!(
            VclusterBandwidths,
            vcluster_bandwidths,
            VclusterId,
            put_vcluster_bandwidth,
            remove_vcluster_bandwidth
        );
        $with!(
            VnodeResizes,
            vnode_resizes,
            VnodeId,
            put_vnode_resize,
            remove_vnode_resize
        );
        $with!(Groups, groups, GroupId, put_group, remove_group);
        $with!(
            ImageGroups,
            image_groups,
            (UserId, Name),
            put_image_groups,
            remove_image_groups
        );
        $with!(
            ImageQuotas,
            image_quotas,
            UserId,
            put_image_quota_of,
            remove_image_quota_of
        );
        $with!(
            ImageSaveBounds,
            image_save_bounds,
            VnodeId,
            put_image_save_bound,
            remove_image_save_bound
        );
        $with!(
            UserHomes,
            user_homes,
            UserId,
            put_user_home,
            remove_user_home
        );
        $with!(
            WorkerTraits,
            worker_traits,
            WorkerId,
            put_worker_traits,
            remove_worker_traits
        );
        $with!(
            VclusterRules,
            vcluster_rules,
            VclusterId,
            put_vcluster_rules,
            remove_vcluster_rules
        );
        $with!(Moves, moves, VnodeId, put_move, remove_move);
        $with!(
            Checkpointing,
            checkpointing,
            WorkerId,
            put_checkpointing,
            remove_checkpointing
        );
        $with!(Drains, drains, WorkerId, put_drain, remove_drain);
        $with!(
            VnodeFences,
            vnode_fences,
            VnodeId,
            put_vnode_fence,
            remove_vnode_fence
        );
        $with!(
            VnodeLosses,
            vnode_losses,
            VnodeId,
            put_vnode_loss,
            remove_vnode_loss
        );
        $with!(WorkerLosses, losses, DrillId, put_loss, remove_loss);
        $with!(
            UserQuotas,
            user_quotas,
            UserId,
            put_user_quota,
            remove_user_quota
        );
        $with!(
            GroupQuotas,
            group_quotas,
            GroupId,
            put_group_quota,
            remove_group_quota
        );
        $with!(
            GroupShares,
            group_shares,
            (GroupId, UserId),
            put_group_share,
            remove_group_share
        );
        $with!(Accounts, accounts, UserId, put_account, remove_account);
        $with!(
            Applications,
            applications,
            LogIndex,
            put_application,
            remove_application
        );
        $with!(Logins, logins, SecretHash, put_login, remove_login);
        $with!(Purses, purses, PurseOf, put_purse, remove_purse);
        $with!(Tallies, tallies, (VnodeId, Epoch), put_tally, remove_tally);
        $with!(
            BeanLines,
            bean_lines,
            (PurseOf, Month, LineOf),
            put_bean_line,
            remove_bean_line
        );
        $with!(
            BeanRequests,
            bean_requests,
            UserId,
            put_bean_request,
            remove_bean_request
        );
        $with!(Templates, templates, Name, put_template, remove_template);
        $with!(
            SettingHistories,
            setting_histories,
            SettingName,
            put_setting_history,
            remove_setting_history
        );
        $with!(Trashed, trashed, VclusterId, put_trashed, remove_trashed);
        $with!(Rests, rests, VclusterId, put_rest, remove_rest);
        $with!(
            VnodeIdles,
            vnode_idles,
            VnodeId,
            put_vnode_idle,
            remove_vnode_idle
        );
        $with!(Notices, notices, NoticeId, put_notice, remove_notice);
        $with!(Readers, readers, UserId, put_reader, remove_reader);
        $with!(Mails, mails, MailId, put_mail, remove_mail);
        $with!(Bugs, bugs, BugId, put_bug, remove_bug);
        $with!(Services, services, ServiceId, put_service, remove_service);
        $with!(Visits, visits, SecretHash, put_visit, remove_visit);
        $with!(Shares, shares, LogIndex, put_share, remove_share);
        $with!(
            Identities,
            identities,
            IdentityId,
            put_identity,
            remove_identity
        );
        $with!(
            WorkerCertificates,
            worker_certificates,
            WorkerId,
            put_worker_certificate,
            remove_worker_certificate
        );
        $with!(Kept, kept, LogIndex, put_kept, remove_kept);
        $with!(
            BeanDays,
            bean_days,
            (PurseOf, Month),
            put_bean_days,
            remove_bean_days
        );
    };
}

/// Calls `$with!(Table, field)` for each table that has one row at most. What is new goes to the end: masters of two
/// versions must have one order.
macro_rules! for_each_single {
    ($with:ident) => {
        $with!(Settings, settings);
        $with!(Autopilot, autopilot);
        $with!(Lineage, lineage);
        $with!(Agreed, agreed);
        $with!(LastBackup, last_backup);
        $with!(Bandwidth, bandwidth);
        $with!(DiskOvercommit, disk_overcommit);
        $with!(BandwidthCeiling, bandwidth_ceiling);
        $with!(ImageQuota, image_quota);
        $with!(UsualHome, usual_home);
        $with!(Rebalance, rebalance);
        $with!(UsualQuota, usual_quota);
        $with!(AccountPolicy, account_policy);
        $with!(AuditHead, audit_head);
        $with!(TrashPolicy, trash_policy);
        $with!(MailServer, mail_server);
        $with!(Acme, acme);
        $with!(BeanSettings, bean_settings);
        $with!(LoginDoors, login_doors);
    };
}
